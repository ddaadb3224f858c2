"""Functions of the application that are called with each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask, current_app

from poller import Database, Notifier, Settings, history_reset, row_added, testing
from tests.harness import sql
from tests.harness.greenlets import unpatched, until
from tests.harness.logged import logged

TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"

Insert = Callable[[str], None]
Rows = list[dict[str, Any]]


@pytest.fixture
def insert(sqlite_url: str) -> Insert:
    sql.execute(sqlite_url, TABLE)

    def commit(body: str) -> None:
        sql.execute(sqlite_url, "INSERT INTO notes (body) VALUES (%s)", [body])

    return commit


@pytest.fixture
def notifier() -> Notifier:
    notifier = Notifier()
    notifier.watch("notes", columns=["id", "body"], authorize="public")
    return notifier


@pytest.fixture
def app(notifier: Notifier, sqlite_url: str, insert: Insert) -> Iterator[Flask]:
    app = Flask("test")
    database = Database(sqlite_url)
    settings = Settings(
        poll_interval_s=0.02, idle_interval_s=3600, log_capacity_rows=2, history_rows=0
    )
    notifier.init_app(app, database=database, settings=settings)
    yield app
    notifier.stop(app)
    database.close()


def bodies(rows: Rows) -> list[object]:
    return [row["body"] for row in rows]


def test_each_row_once_in_order_and_in_the_applications_context(
    notifier: Notifier, app: Flask, insert: Insert
) -> None:
    rows: Rows = []

    @notifier.on_row("notes")
    def keep(row: dict[str, Any]) -> None:
        assert current_app == app
        rows.append(row)

    insert("before the first poll")
    with testing.feed(app) as feed:
        insert("one")
        insert("two")
        assert rows == []
        feed.poll()
        assert rows == [{"id": 2, "body": "one"}, {"id": 3, "body": "two"}]
        feed.poll()
        assert len(rows) == 2


def test_rows_that_have_left_the_log_come_from_the_table(
    notifier: Notifier, app: Flask, insert: Insert
) -> None:
    rows: Rows = []
    notifier.on_row("notes")(rows.append)
    with testing.feed(app) as feed:
        for number in range(20):
            insert(str(number))
        feed.poll()
        assert bodies(rows) == [str(number) for number in range(20)]


def test_an_error_is_logged_and_ends_nothing(
    notifier: Notifier, app: Flask, insert: Insert
) -> None:
    rows: Rows = []

    @notifier.on_row("notes")
    def fails(row: dict[str, Any]) -> None:
        raise ZeroDivisionError(row["body"])

    notifier.on_row("notes")(rows.append)
    with logged() as lines, testing.feed(app) as feed:
        insert("one")
        insert("two")
        feed.poll()
        assert bodies(rows) == bodies(feed.rows()) == ["one", "two"]
    failed = [line for line in lines if line["event"] == "handler failed"]
    assert len(failed) == 2
    assert "fails" in str(failed[0]["handler"])


def test_a_signal_tells_the_same_with_the_application_as_its_sender(
    notifier: Notifier, app: Flask, insert: Insert
) -> None:
    told: list[tuple[object, str, dict[str, Any]]] = []

    def receiver(sender: Flask, feed: str, row: dict[str, Any]) -> None:
        told.append((sender, feed, row))

    with row_added.connected_to(receiver, sender=app), testing.feed(app) as feed:
        insert("one")
        feed.poll()
        assert told == [(app, "notes", {"id": 1, "body": "one"})]


def test_nobody_reads_where_nobody_is_to_be_called(app: Flask, insert: Insert) -> None:
    with testing.feed(app) as feed:
        insert("one")
        feed.poll()
        assert not app.extensions["rowcast"].feed().handlers.reading


def test_a_table_that_was_emptied_is_told(
    notifier: Notifier, app: Flask, insert: Insert, sqlite_url: str
) -> None:
    reasons: list[str] = []
    rows: Rows = []
    notifier.on_row("notes")(rows.append)

    def receiver(sender: Flask, feed: str, reason: str) -> None:
        reasons.append(reason)

    with history_reset.connected_to(receiver, sender=app), testing.feed(app) as feed:
        insert("one")
        feed.poll()
        sql.execute(sqlite_url, "DROP TABLE notes")
        sql.execute(sqlite_url, TABLE)
        feed.poll()
        assert reasons == ["history-changed"]
        insert("two")
        feed.poll()
        assert bodies(rows) == ["one", "two"]


def test_a_served_feed_calls_them_without_any_stream(
    notifier: Notifier, app: Flask, insert: Insert
) -> None:
    """And polls as if somebody listened: the idle interval is an hour."""
    rows: Rows = []

    @notifier.on_row("notes")
    def slow(row: dict[str, Any]) -> None:
        gevent.sleep(0.01)
        rows.append(row)

    with unpatched():
        notifier.start(app)
        until(lambda: app.test_client().get("/readyz").status_code == 200, "a ready feed")
        for number in range(10):
            insert(str(number))
        until(lambda: len(rows) == 10, "ten rows")
        assert bodies(rows) == [str(number) for number in range(10)]


def test_a_feed_that_is_not_watched_is_a_key_error(notifier: Notifier) -> None:
    with pytest.raises(KeyError, match="orders is not watched"):
        notifier.on_row("orders")
