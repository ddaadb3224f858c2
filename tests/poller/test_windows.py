"""A feed by window in an application: what may be said, and what its streams bring."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from gevent.event import Event

from poller import Access, Notifier, testing
from poller.reading.description import TableError
from poller.window.token import EMPTY, weight
from poller.window_feed import WindowFeed
from tests.harness import sql

ORDERS = sa.table("orders", sa.column("id"), sa.column("total"), sa.column("placed"))
OPEN = sa.select(ORDERS.c.id, ORDERS.c.total).where(ORDERS.c.total > 10).order_by(ORDERS.c.placed)


@pytest.fixture
def url(sqlite_url: str) -> str:
    sql.execute(
        sqlite_url,
        "CREATE TABLE orders "
        "(id TEXT NOT NULL PRIMARY KEY, total INTEGER, placed INTEGER NOT NULL)",
    )
    for at in range(1, 6):
        sql.execute(sqlite_url, f"INSERT INTO orders VALUES ('o{at}', {at * 10}, {at})")
    return sqlite_url


def app_with(url: str, source: object = "orders", **asked: Any) -> tuple[Flask, Notifier]:
    notifier = Notifier(authorize=asked.pop("authorize", "public"))
    given: dict[str, Any] = {"columns": ["total"], "window": 3, "order_by": "placed", **asked}
    notifier.watch(source, **given)
    app = Flask(__name__)
    notifier.init_app(app, database=url)
    return app, notifier


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"window": 0}, "window=0 is not from 1 to 10,000 rows"),
        ({"window": "5"}, "window='5' is not from 1 to 10,000 rows"),
        ({"window": None}, "say window=, too"),
        ({"filters": ["total"]}, "give its SELECT a WHERE"),
        ({"version": "placed"}, "not both"),
        ({"replay": 5}, "has no past to replay"),
        ({"source": OPEN, "name": "open"}, "has no key of its own"),
        ({"source": OPEN, "key": "id"}, "give it name="),
        (
            {"source": OPEN, "key": "id", "name": "open", "window": None, "order_by": None},
            "by window",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(asked: dict[str, Any], told: str) -> None:
    given = {"source": "orders", "columns": ["total"], "window": 3, "order_by": "placed", **asked}
    with pytest.raises(ValueError, match=told):
        Notifier().watch(given.pop("source"), **given)


def test_a_stream_brings_the_window_and_each_change(url: str) -> None:
    app, notifier = app_with(url)
    changed: list[Any] = []
    gone: list[Any] = []
    notifier.on_change("orders")(changed.append)
    notifier.on_delete("orders")(gone.append)
    with testing.feed(app, "orders") as feed:
        kinds = [frame.event for frame in feed.frames()]
        assert kinds == ["start", "clear", "message", "message", "message", "live"]
        sql.execute(url, "UPDATE orders SET total = 1 WHERE id = 'o4'")
        sql.execute(url, "DELETE FROM orders WHERE id = 'o5'")
        feed.poll()
        told = [(frame.event, frame.json) for frame in feed.frames()]
        assert told == [
            ("delete", {"id": "o5"}),
            ("message", {"id": "o2", "total": 20}),
            ("message", {"id": "o4", "total": 1}),
        ]
        assert changed == [{"id": "o2", "total": 20}, {"id": "o4", "total": 1}]
        assert gone == [{"id": "o5"}]


def test_a_select_is_watched_with_the_columns_that_it_selects(url: str) -> None:
    app, _ = app_with(url, OPEN, name="open", key="id", columns=None, order_by=None)
    with testing.feed(app, "open") as feed:
        assert feed.rows() == [
            {"id": "o2", "total": 20},
            {"id": "o3", "total": 30},
            {"id": "o4", "total": 40},
        ]


def test_a_page_with_the_newest_rows_resumes_and_gets_what_changed(url: str) -> None:
    app, notifier = app_with(url)
    with testing.feed(app, "orders") as feed, app.test_request_context():
        shown = [{"id": f"o{at}", "total": at * 10, "placed": at} for at in (5, 4)]
        sql.execute(url, "INSERT INTO orders VALUES ('o6', 60, 6)")
        stream = feed.open(notifier.page_token("orders", shown))
        feed.poll()
        assert [(frame.event, frame.json.get("id")) for frame in stream.frames()] == [
            ("start", None),
            ("message", "o6"),
            ("live", None),
        ]
        with pytest.raises(ValueError, match="no 'total'"):
            notifier.page_token("orders", [{"id": "o5"}])


def test_a_page_that_shows_what_nobody_knows_is_cleared(url: str) -> None:
    app, notifier = app_with(url)
    with testing.feed(app, "orders") as feed, app.test_request_context():
        stream = feed.open(notifier.page_token("orders", [{"id": "o5", "total": 0}]))
        feed.poll()
        assert [frame.event for frame in stream.frames()][:2] == ["start", "clear"]


def test_before_it_was_looked_at_a_page_is_told_to_reload(url: str) -> None:
    app, notifier = app_with(url)
    with app.test_request_context():
        assert notifier.page_token("orders", []) == "reload"


def test_columns_may_be_left_out_in_a_view_with_ids_of_its_own(url: str) -> None:
    app, notifier = app_with(url)
    app.secret_key = "a key"
    with testing.feed(app, "orders") as feed:
        polled = notifier.feed("orders", app=app)
        assert isinstance(polled, WindowFeed)
        view = polled.view({}, ["id"])
        assert polled.view({}, ["id", "total"]).tag == ""
        assert view.tag
        opened = polled.log.open(view)
        reader = polled.streams.reader(Event())
        few = type(reader)("orders", polled.log, None, Event(), str, opened)
        sent = b"".join(iter(few.next_chunk, b""))
        assert b"total" not in sent
        assert sent.count(b'data: {"id":"o') == 3
        last_id = sent.rpartition(b"id: ")[2].strip().decode()
        assert f".{view.tag}." in last_id
        again = type(reader)("orders", polled.log, last_id, Event(), str, opened)
        assert b"clear" not in again.next_chunk()
        wider = type(reader)("orders", polled.log, last_id, Event(), str)
        assert b"event: clear" in wider.next_chunk()
        sql.execute(url, "UPDATE orders SET id = 'new' WHERE id = 'o5'")
        feed.poll()
        assert b'data: {"id":"new"}' in few.next_chunk()
        polled.log.views.close(opened)
        with pytest.raises(ValueError, match="no column of this feed"):
            polled.view({}, ["secret"])
        with pytest.raises(ValueError, match="no filters"):
            polled.view({"total": ["1"]})


def test_a_query_that_cannot_be_followed_is_told_by_readyz(url: str) -> None:
    app, _ = app_with(url, order_by="total")
    with pytest.raises(TableError, match="may be NULL"), testing.feed(app, "orders"):
        pass


def test_who_may_see_less_gets_less_and_a_forced_filter_is_a_mistake_of_the_application(
    url: str,
) -> None:
    said: dict[str, Access] = {
        "columns": Access(columns=["id"]),
        "filter": Access(filter={"total": 10}),
    }
    app, _ = app_with(url, authorize=lambda request: said[request.args.get("x", "columns")])
    app.secret_key = "a key"
    with testing.feed(app, "orders"):
        client = app.test_client()
        assert client.get("/rows/orders").get_json()["rows"] == [
            {"id": f"o{at}"} for at in (5, 4, 3)
        ]
        assert client.get("/rows/orders?x=filter").status_code == 403
        told = client.get("/rows/orders?total=10")
        assert (told.status_code, told.get_json()["error"]) == (
            400,
            "total is no filter of this feed",
        )


def test_ids_do_not_tell_the_columns_that_are_left_out(url: str) -> None:
    """Whoever sees the key alone tries all totals, and would find the one with this digest."""
    app, notifier = app_with(url, window=1, authorize=lambda _: Access(columns=["id"]))
    app.secret_key = "a key"
    with testing.feed(app, "orders"), app.test_request_context():
        answer = app.test_client().get("/rows/orders").get_json()
        assert answer["rows"] == [{"id": "o5"}]
        said = answer["next"].rpartition(".")[2]
        tried = {
            str(EMPTY.with_row(weight(b'{"id":"o5"}', b'data: {"id":"o5","total":%d}\n' % total)))
            for total in range(100)
        }
        assert f"1.{said}" not in tried
        # The page's own token is one of these, too.
        token = notifier.page_token("orders", [{"id": "o5", "total": 50}])
        assert token.rpartition(".")[2] == said


def test_without_a_key_no_column_is_left_out(url: str) -> None:
    app, _ = app_with(url, authorize=lambda _: Access(columns=["id"]))
    with testing.feed(app, "orders"):
        assert app.test_client().get("/rows/orders").status_code == 403
