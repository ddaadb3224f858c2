"""Which server runs this process, and the refusal where streams would hang. This one is such."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import poller
from poller import Database, Notifier, Settings
from poller.serving import server
from tests.harness.greenlets import unpatched
from tests.harness.logged import logged

PROJECT = Path(poller.__file__).parents[1]
WHY = "the standard library is not patched for gevent"


@pytest.fixture
def notifier(sqlite_url: str) -> Notifier:
    notifier = Notifier()
    notifier.watch("notes", columns=["id"], authorize="public")
    return notifier


@pytest.fixture
def app(notifier: Notifier, sqlite_url: str) -> Flask:
    app = Flask("test")
    notifier.init_app(
        app,
        database=Database(sqlite_url),
        settings=Settings(),
        default_feed="notes",
        metrics="public",
    )
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_start_refuses_with_the_reason_and_the_cure(app: Flask, notifier: Notifier) -> None:
    with pytest.raises(RuntimeError, match=WHY) as refused:
        notifier.start(app)
    assert "gunicorn -k poller.Worker" in str(refused.value)
    assert "monkey.patch_all()" in str(refused.value)


@pytest.mark.parametrize("path", ["/stream", "/stream/notes", "/healthz", "/readyz"])
def test_a_request_is_answered_with_the_reason(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert WHY in answer.text
    assert "gunicorn -k poller.Worker" in answer.text


def test_what_needs_no_greenlet_is_served(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/stream/absent").status_code == 404


def test_the_log_says_it_once(client: FlaskClient) -> None:
    with logged() as lines:
        client.get("/stream")
        client.get("/stream")
    (line,) = lines
    assert (line["event"], line["level"]) == ("streams refused", "error")
    assert WHY in line["reason"]


def answers_of(program: str) -> object:
    """What a program in a process of its own prints, as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


PATCH = "from gevent import monkey; monkey.patch_all()\n"
MAKE = """
import json
from flask import Flask
from poller import Database, Notifier, Settings
def make():
    notifier, app = Notifier(), Flask("test")
    notifier.watch("notes", columns=["id"], authorize="public")
    notifier.init_app(app, database=Database("sqlite:////nowhere/db"), settings=Settings())
    return app
def told(call):
    try: return call()
    except RuntimeError as error: return str(error)
"""


def test_a_patch_that_came_too_late_is_refused() -> None:
    """As with `--preload` and gunicorn's gevent worker, which patches after the fork."""
    late = f"{MAKE}app = make()\n{PATCH}print(json.dumps(app.test_client().get('/healthz').text))"
    assert "patched for gevent after init_app()" in str(answers_of(late))
    in_time = f"{PATCH}{MAKE}print(json.dumps(make().test_client().get('/healthz').text))"
    assert answers_of(in_time) == "ok\n"


def test_a_partial_patch_is_refused() -> None:
    partly = "from gevent import monkey; monkey.patch_all(thread=False)\n"
    told = answers_of(f"{partly}{MAKE}print(json.dumps(make().test_client().get('/healthz').text))")
    assert WHY in str(told)


def test_patched_threads_of_gunicorn_are_refused_before_they_hang() -> None:
    loaded = "import gunicorn.workers.gthread\n"
    assert "gthread worker answers nothing" in str(
        answers_of(f"{loaded}{PATCH}{MAKE}print(json.dumps(told(make)))")
    )


@pytest.mark.parametrize(
    ("software", "name"),
    [
        ("gevent/26.9 Python/3.11", "gevent.pywsgi"),
        ("Werkzeug/3.1.9", "Flask's development server"),
        ("waitress", "waitress"),
        ("CherryPy/8", "unknown"),
    ],
)
def test_a_server_is_told_from_a_request(software: str, name: str) -> None:
    assert server.identify({"SERVER_SOFTWARE": software}).name == name


def test_the_first_line_names_the_server_and_what_it_means(app: Flask) -> None:
    client = app.test_client()
    overrides = {"SERVER_SOFTWARE": "waitress"}
    with unpatched(), logged() as lines:
        client.get("/healthz", environ_overrides=overrides)
        client.get("/healthz", environ_overrides=overrides)
    service = app.extensions["rowcast"]
    service.stop()
    service.feed().close()
    service.feed().database.close()
    first = next(line for line in lines if line["event"] == "started")
    assert first is lines[0]
    assert (first["level"], first["server"], first["feeds"]) == ("warning", "waitress", ["notes"])
    assert "a thread each" in first["streams"]
    assert first["better"] == "gunicorn -k poller.Worker"
    assert len([line for line in lines if line["event"] == "started"]) == 1
