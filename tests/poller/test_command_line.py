"""The command `rowcast`, and `flask rowcast` inside an application."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

import poller
from poller import Database, Notifier, Settings
from poller.__main__ import flask_commands, main
from tests.harness import sql

PROJECT = Path(poller.__file__).parents[1]
HEAVY = ("gevent", "sqlalchemy", "flask", "pydantic", "prometheus_client", "gunicorn")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in main.commands)]
)
def test_help_answers_at_once(arguments: list[str]) -> None:
    """It imports click and nothing that an import takes long for."""
    code = (
        "import json, sys; from poller.__main__ import main\n"
        f"try: main({arguments!r}, prog_name='rowcast')\n"
        f"finally: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(ended.stdout.splitlines()[-1]) == []
    assert "rowcast" in ended.stdout


def test_a_misspelt_command_brings_the_nearest_one() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "poller", "docter"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "Did you mean 'doctor'?" in ended.stderr


# -- flask rowcast --------------------------------------------------------------------------------


def application(url: str, *tables: str) -> Flask:
    app, notifier = Flask("test"), Notifier(authorize="public")
    for table in tables:
        notifier.watch(table, columns=["id"])
    notifier.init_app(app, database=Database(url), settings=Settings())
    return app


def invoke(app: Flask, *arguments: str) -> Result:
    script = ScriptInfo(create_app=lambda: app)
    return CliRunner().invoke(flask_commands, ["doctor", *arguments], obj=script)


def test_the_feeds_of_an_application_are_examined(sqlite_url: str) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    sql.execute(sqlite_url, "CREATE TABLE plain (id INTEGER PRIMARY KEY)")
    app = application(sqlite_url, "notes", "plain", "absent")
    all_feeds = invoke(app)
    assert all_feeds.exit_code == 2
    assert "notes can be watched; the promise holds in full." in all_feeds.output
    assert "plain can be watched, with the exception named above." in all_feeds.output
    assert "absent cannot be watched: there is no table absent" in all_feeds.output
    assert [invoke(app, name).exit_code for name in ("notes", "plain")] == [0, 1]


def test_a_feed_is_examined_as_it_is_watched(sqlite_url: str) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id TEXT, n INTEGER PRIMARY KEY AUTOINCREMENT)")
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("notes", name="news", key="n", columns=["id", "absent"])
    notifier.init_app(app, database=Database(sqlite_url), settings=Settings())
    told = invoke(app, "news")
    assert (told.exit_code, "notes has no column absent" in told.output) == (2, True)


def test_what_the_application_does_not_have_is_said(sqlite_url: str) -> None:
    app = application(sqlite_url, "notes")
    assert "no feed note. Did you mean notes?" in invoke(app, "note").output
    assert "no feed orders. It has: notes." in invoke(app, "orders").output
    without = invoke(Flask("test"))
    assert "this application has no notifier" in without.output
    assert {invoke(app, "note").exit_code, without.exit_code} == {2}
