"""A page and its stream: `page_token()`, and `rowcast.source()` in a template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask, render_template_string

from poller import Database, Notifier, testing
from tests.harness import sql

TABLE = "CREATE TABLE orders (number INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT)"
TEMPLATE = "{{ rowcast.source('orders', rows) }}"

Insert = Callable[[str], None]


class Model:
    """As an ORM hands rows out."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.fixture
def insert(sqlite_url: str) -> Insert:
    sql.execute(sqlite_url, TABLE)

    def commit(customer: str) -> None:
        sql.execute(sqlite_url, "INSERT INTO orders (customer) VALUES (%s)", [customer])

    return commit


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def app(insert: Insert, database: Database) -> Flask:
    app, notifier = Flask("test"), Notifier()
    notifier.watch("orders", columns=["number", "customer"], authorize="public")
    notifier.init_app(app, database=database, url_prefix="/live")

    @app.get("/")
    def index() -> str:
        rows = database.read(lambda c: c.execute(sa.text("SELECT * FROM orders")).all())
        insert("between the page's rows and its stream")
        return render_template_string(TEMPLATE, rows=rows)

    app.extensions["test.notifier"] = notifier
    return app


def test_the_stream_brings_what_the_page_does_not_show(app: Flask, insert: Insert) -> None:
    with testing.feed(app) as feed:
        insert("seen by this worker")
        feed.poll()
        insert("not seen yet")
        address = app.test_client().get("/").text
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        assert path == "/live/stream/orders"
        stream = feed.open(query["last_event_id"][0])
        feed.poll()
        assert [row["customer"] for row in stream.rows()] == [
            "between the page's rows and its stream"
        ]


def test_a_row_that_is_delivered_while_the_page_is_made_is_not_missed(
    app: Flask, insert: Insert
) -> None:
    """The cursor is of the request's beginning, not of the moment in which the token is made."""
    notifier: Notifier = app.extensions["test.notifier"]
    with testing.feed(app) as feed, app.test_request_context("/"):
        app.preprocess_request()
        insert("after the page has read its rows")
        feed.poll()
        token = notifier.page_token("orders", [])
        assert len(feed.open(token).rows()) == 1


@pytest.mark.parametrize("rows", [[2], [{"number": 2}], [Model(2)]])
def test_rows_may_be_ids_mappings_or_objects(
    app: Flask, insert: Insert, rows: list[object]
) -> None:
    notifier: Notifier = app.extensions["test.notifier"]
    with testing.feed(app) as feed, app.test_request_context("/"):
        app.preprocess_request()
        insert("one")
        insert("two")
        feed.poll()
        stream = feed.open(notifier.page_token("orders", rows))
        assert [row["number"] for row in stream.rows()] == [1]


def test_a_row_without_the_key_is_a_value_error(app: Flask) -> None:
    notifier: Notifier = app.extensions["test.notifier"]
    with testing.feed(app), app.test_request_context("/"):
        app.preprocess_request()
        with pytest.raises(ValueError, match="no integer 'number': dict"):
            notifier.page_token("orders", [{"id": 1}])


def test_before_the_worker_is_ready_the_stream_begins_with_reset(app: Flask) -> None:
    notifier: Notifier = app.extensions["test.notifier"]
    with app.test_request_context("/"):
        app.preprocess_request()
        token = notifier.page_token("orders", [])
    with testing.feed(app) as feed:
        events = [frame.event for frame in feed.open(token).frames()]
        assert events == ["start", "reset", "live"]


def test_outside_a_request_the_cursor_is_given(app: Flask, insert: Insert) -> None:
    notifier: Notifier = app.extensions["test.notifier"]
    with testing.feed(app) as feed, app.app_context():
        before = notifier.feed("orders").cursor
        insert("one")
        feed.poll()
        stream = feed.open(notifier.page_token("orders", [], before=before))
        assert len(stream.rows()) == 1
