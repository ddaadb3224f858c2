"""Which database is meant, and where its password comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy.engine import make_url

from poller import Database, Notifier, Settings
from poller.__main__ import flask_commands
from poller.commands.target import Target, for_a_database
from tests.harness import sql

Run = Callable[..., Result]
PLACE = "postgresql://ann@db.example/shop"
MARIADB = "mysql://ann@db.example/shop"


@click.command()
@click.argument("url", required=False)
@for_a_database
def where(target: Target, url: str | None) -> None:
    """Says which database is meant, password and all."""
    click.echo(target.url(url))


def meant(*arguments: str, **options: object) -> str:
    ended = CliRunner().invoke(where, [*arguments], **options)  # type: ignore[arg-type]
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()[-1]


def test_the_argument_the_option_and_the_environment() -> None:
    assert meant(PLACE, env={"DATABASE_URL": MARIADB}) == PLACE
    assert meant("--database", PLACE, env={"DATABASE_URL": MARIADB}) == PLACE
    assert meant(env={"DATABASE_URL": PLACE}) == PLACE


def test_a_file_that_is_there_is_a_database(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.touch()
    assert meant(str(path)) == f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the database: set DATABASE_URL, or give --database"),
        ((PLACE, "--database", PLACE), "name one database"),
        (("shop.db",), "shop.db is neither an existing file nor the URL of a database"),
        (("post gres://x",), "not a database URL"),
    ],
)
def test_what_is_no_database_is_said(arguments: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(where, [*arguments])
    assert (ended.exit_code, said in ended.stderr) == (2, True)


def test_a_password_need_not_be_in_the_command(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cr:t/\nnot this\n", encoding="utf-8")
    for given in (
        meant(PLACE, "--password-file", str(file)),
        meant(PLACE, "-W", input="s3cr:t/\n"),
        meant(MARIADB, env={"MYSQL_PWD": "s3cr:t/"}),
    ):
        assert make_url(given).password == "s3cr:t/"
    # The driver itself takes it from the environment, or from ~/.pgpass.
    assert meant(PLACE, env={"PGPASSWORD": "s3cr:t/"}) == PLACE
    in_url = MARIADB.replace("ann@", "ann:mine@")
    assert make_url(meant(in_url, env={"MYSQL_PWD": "s3cr:t/"})).password == "mine"


@pytest.mark.parametrize("variable", ["PGPASSWORD", "MYSQL_PWD"])
def test_a_password_is_never_shown(variable: str, rowcast: Run) -> None:
    place = f"{'postgresql' if variable == 'PGPASSWORD' else 'mysql'}://ann@127.0.0.1:1/shop"
    for command in (["tables"], ["check"], ["tail", "orders"], ["doctor", "orders"], ["seed"]):
        given = [command[0], "--database", place, *command[1:]]
        ended = rowcast(*given, env={variable: "s3cr3t"})
        assert ended.exit_code == 2
        assert "s3cr3t" not in ended.output


# -- flask rowcast --------------------------------------------------------------------------------


@pytest.fixture
def in_app(sqlite_url: str) -> Callable[..., Result]:
    """in_app(*arguments): inside an application that watches `orders` as `news`."""
    sql.execute(
        sqlite_url, "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer, card)"
    )
    sql.execute(sqlite_url, "INSERT INTO orders (customer, card) VALUES ('Ada', '4111')")
    app, notifier = Flask("test"), Notifier()
    notifier.watch("orders", name="news", columns=["id", "customer"], authorize="public")
    notifier.init_app(app, database=Database(sqlite_url), settings=Settings())
    script = ScriptInfo(create_app=lambda: app)
    return lambda *arguments: CliRunner().invoke(flask_commands, [*arguments], obj=script)


def test_the_applications_database_is_meant(in_app: Run) -> None:
    assert "\norders  table  id" in in_app("tables").stdout
    assert "database: sqlite:///" in in_app("check", "--port", "0").stdout


def test_a_feed_is_tailed_as_the_application_watches_it(in_app: Run) -> None:
    given = ("--from", "0", "--exit-after", "1", "--format", "json")
    assert in_app("tail", "news", *given).stdout == '{"id":1,"customer":"Ada"}\n'
    assert '"card":"4111"' in in_app("tail", "orders", *given).stdout


@pytest.fixture
def in_app_with_two(in_app: Run, sqlite_url: str, tmp_path: Path) -> Callable[..., Result]:
    """The same beside a notifier `archive`, which watches `readings` of another database."""
    other = f"sqlite:///{tmp_path / 'archive.db'}"
    sql.execute(other, "CREATE TABLE readings (id INTEGER PRIMARY KEY AUTOINCREMENT, celsius, raw)")
    sql.execute(other, "INSERT INTO readings (celsius, raw) VALUES (21, 'x')")
    app, archive, news = (
        Flask("test"),
        Notifier("archive", authorize="public"),
        Notifier(authorize="public"),
    )
    archive.watch("readings", columns=["id", "celsius"], max_value_bytes=1024)
    archive.init_app(app, database=Database(other), settings=Settings(), url_prefix="/archive")
    news.watch("orders", name="news", columns=["id", "customer", "card"])
    news.init_app(app, database=Database(sqlite_url), settings=Settings())
    script = ScriptInfo(create_app=lambda: app)
    return lambda *arguments: CliRunner().invoke(flask_commands, [*arguments], obj=script)


def test_the_feeds_of_all_notifiers_are_known(in_app_with_two: Run) -> None:
    told = in_app_with_two("doctor")
    assert told.exit_code == 0, told.output
    verdicts = [line for line in told.stdout.splitlines() if line.endswith("holds in full.")]
    assert [line.split()[0] for line in verdicts] == ["orders", "readings"]
    assert "readings can be watched" in in_app_with_two("doctor", "archive/readings").stdout
    misspelt = in_app_with_two("doctor", "readings")
    assert "no feed readings. Did you mean archive/readings?" in misspelt.stderr
    given = ("--from", "0", "--exit-after", "1", "--format", "json")
    told = in_app_with_two("tail", "archive/readings", *given)
    assert told.stdout == '{"id":1,"celsius":21}\n'
    assert '"customer":"Ada"' in in_app_with_two("tail", "news", *given).stdout


def test_the_databases_of_all_notifiers_are_asked(in_app_with_two: Run, sqlite_url: str) -> None:
    told = in_app_with_two("check", "--port", "0").stdout
    databases = [line for line in told.splitlines() if line.startswith("ok     database: ")]
    first, second = databases
    assert sqlite_url in first
    assert "archive.db" in second
    assert "\norders  table  id" in in_app_with_two("tables").stdout


def test_an_application_with_a_named_notifier_alone_is_known(sqlite_url: str) -> None:
    sql.execute(sqlite_url, "CREATE TABLE readings (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    app, archive = Flask("test"), Notifier("archive", authorize="public")
    archive.watch("readings", columns=["id"])
    archive.init_app(app, database=Database(sqlite_url), settings=Settings())
    script = ScriptInfo(create_app=lambda: app)
    told = CliRunner().invoke(flask_commands, ["doctor", "archive/readings"], obj=script)
    assert (told.exit_code, "readings can be watched" in told.stdout) == (0, True)


def test_another_database_needs_no_application(in_app: Run, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    sql.execute(other, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    assert "notes" in in_app("tables", other).stdout


def test_an_application_without_a_notifier_is_said(rowcast: Run) -> None:
    script = ScriptInfo(create_app=lambda: Flask("test"))
    ended = CliRunner().invoke(flask_commands, ["tables"], obj=script)
    assert (ended.exit_code, "this application has no notifier" in ended.stderr) == (2, True)
