"""What a prober gets, what an operator gets, and what a stranger does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from prometheus_client import REGISTRY, Counter
from pydantic import ValidationError

from poller import Database, Notifier, Settings, SettingsError
from tests.harness import sql
from tests.harness.greenlets import unpatched, until

TABLE = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"
TOKEN = "an operator's token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DETAILS = {"ready", "draining", "feeds"}

Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(sqlite_url: str) -> Iterator[Serve]:
    """serve(token, table, **arguments): a client of an application whose feed may be absent."""
    sql.execute(sqlite_url, TABLE.format("notes"))
    apps, databases = [], []

    def make(token: str | None = None, table: str = "notes", **arguments: Any) -> FlaskClient:
        app, notifier = Flask("test"), Notifier(authorize="public")
        notifier.watch(table, columns=["id"])
        databases.append(Database(sqlite_url))
        settings = Settings.model_validate({"operator_token": token})
        notifier.init_app(app, database=databases[-1], settings=settings, **arguments)
        apps.append(app)
        return app.test_client()

    with unpatched():
        yield make
        for app in apps:
            app.extensions["rowcast"].feed().close()
        for database in databases:
            database.close()


def test_a_prober_gets_the_status_and_nothing_else(serve: Serve) -> None:
    client = serve()
    until(lambda: client.get("/readyz").status_code == 200, "a ready feed")
    assert client.get("/readyz").json == {"ready": True}
    assert client.get("/healthz").text == "ok\n"
    absent = serve(table="absent")
    answer = absent.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"ready": False})
    assert absent.get("/healthz").status_code == 200


def test_metrics_are_for_nobody_unless_somebody_says(serve: Serve) -> None:
    answer = serve().get("/metrics")
    assert answer.status_code == 403
    assert answer.json is not None
    assert "set ROWCAST_OPERATOR_TOKEN" in answer.json["error"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_operators_token_shows_both(serve: Serve) -> None:
    client = serve(TOKEN)
    refused = client.get("/metrics")
    assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert client.get("/metrics", headers=BEARER).text.startswith("# HELP rowcast_")
    details = client.get("/readyz", headers=BEARER).json
    assert details is not None
    assert details.keys() == DETAILS


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Basic YTpi", TOKEN,
        f"Bearer {TOKEN.upper()}", f"Basic {TOKEN}", f"Token {TOKEN}", "Bearer \xff\xff",
        f"Bearer  {TOKEN}, {TOKEN}",
    ],
)  # fmt: skip
def test_another_token_shows_neither(serve: Serve, header: str) -> None:
    client = serve(TOKEN)
    headers = {"Authorization": header}
    assert client.get("/metrics", headers=headers).status_code == 401
    assert (client.get("/readyz", headers=headers).json or {}).keys() == {"ready"}


@pytest.mark.parametrize("token", ["", "short", "fifteen letters"])
def test_a_token_that_can_be_guessed_is_refused_and_not_written_out(token: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"operator_token": token})
    if token:
        with pytest.raises(SettingsError) as refused:
            Settings.from_env({"ROWCAST_OPERATOR_TOKEN": token})
        assert token not in str(refused.value)
    assert TOKEN not in repr(Settings.from_env({"ROWCAST_OPERATOR_TOKEN": TOKEN}))


def test_each_is_public_where_the_author_says_so(serve: Serve) -> None:
    metrics = serve(metrics="public")
    assert metrics.get("/metrics").status_code == 200
    assert (metrics.get("/readyz").json or {}).keys() == {"ready"}
    health = serve(health="public")
    assert health.get("/metrics").status_code == 403
    assert (health.get("/readyz").json or {}).keys() == DETAILS


def of_staff(request: Any) -> bool:
    return bool(request.headers.get("X-Staff") == "yes")


def aborts(_: object) -> bool:
    abort(401)


def test_a_function_of_the_author_decides(serve: Serve) -> None:
    client = serve(metrics=of_staff, health=of_staff)
    staff = {"X-Staff": "yes"}
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers=staff).status_code == 200
    assert (client.get("/readyz").json or {}).keys() == {"ready"}
    assert (client.get("/readyz", headers=staff).json or {}).keys() == DETAILS


@pytest.mark.parametrize("says", [lambda _: "yes", lambda _: 1, lambda _: None, aborts])
def test_only_true_is_a_yes_and_a_prober_gets_its_status_anyhow(serve: Serve, says: Any) -> None:
    client = serve(metrics=says, health=says)
    assert client.get("/metrics").status_code == 403
    answer = client.get("/readyz")
    assert answer.status_code in (200, 503)
    assert (answer.json or {}).keys() == {"ready"}


def test_what_says_nothing_is_refused(serve: Serve) -> None:
    for argument in ("metrics", "health"):
        with pytest.raises(ValueError, match='"public"'):
            serve(**{argument: True})


def test_metrics_of_the_application_and_of_other_notifiers_are_not_shown(
    serve: Serve, sqlite_url: str
) -> None:
    theirs = Counter("orders_taken", "Of the application.")
    theirs.inc()
    client = serve(metrics="public")
    other, database = Notifier("archive", authorize="public"), Database(sqlite_url)
    other.watch("notes", name="old", columns=["id"])
    other.init_app(
        client.application,
        database=database,
        settings=Settings(),
        url_prefix="/archive",
        metrics="public",
    )
    client.get("/stream/notes").close()
    client.get("/archive/stream/old").close()
    for path, label in (("/metrics", "notes"), ("/archive/metrics", "archive/old")):
        text = client.get(path).text
        assert {*re.findall('feed="([^"]*)"', text)} == {label}
        assert "orders_taken" not in text
        assert "python_info" not in text
    other.close("old", app=client.application)
    database.close()
    REGISTRY.unregister(theirs)


PROTECTED = ["/healthz", "/readyz", "/metrics", "/stream/notes", "/rows/notes", "/rows/absent",
             "/stream/absent", "/rowcast.js"]  # fmt: skip


@pytest.mark.parametrize("path", PROTECTED)
def test_no_page_elsewhere_can_use_an_answer(serve: Serve, path: str) -> None:
    with serve().head(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    # The script alone is for anybody's page.
    policy = "cross-origin" if path == "/rowcast.js" else "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == policy
    assert "Access-Control-Allow-Origin" not in headers


def test_the_applications_own_headers_stay(serve: Serve) -> None:
    client = serve()

    @client.application.after_request
    def own(response: Any) -> Any:
        response.headers["Referrer-Policy"] = "origin"
        return response

    assert client.get("/healthz").headers["Referrer-Policy"] == "origin"
