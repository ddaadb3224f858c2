"""`/rows/NAME`: what is answered, with which status, and for how long a cache may keep it."""

from collections.abc import Callable
from unittest import mock

import gevent
import pytest
from flask import Response
from werkzeug.test import TestResponse

from poller.serving import long_poll
from poller.web import rows
from poller.web.current import service_of
from tests.harness import sql
from tests.harness.greenlets import until
from tests.poller.web.conftest import Shop

LONG = "wait=50"
TIP = "public, max-age=1"
FULL = "public, max-age=86400, immutable"


def epoch(shop: Shop) -> str:
    return shop.feed.log.epoch


def bodies(answer: TestResponse) -> list[str]:
    assert answer.json is not None
    return [row["body"] for row in answer.json["rows"]]


def test_without_a_token_it_tells_where_now_is(shop: Shop) -> None:
    shop.insert("old")
    client = shop.seen(1)
    now = {"rows": [], "next": f"{epoch(shop)}.1", "live": True}
    for query in ("", "?after=", "?after=now", f"?{LONG}"):
        assert client.get("/rows/notes" + query).json == now


def test_it_goes_on_where_the_last_answer_ended(shop: Shop) -> None:
    shop.insert("one", "two", "three")
    client = shop.seen(3)
    first = client.get("/rows/notes?after=0&limit=2")
    assert bodies(first) == ["one", "two"]
    assert first.json is not None
    assert first.json["live"] is False
    second = client.get(f"/rows/notes?after={first.json['next']}&limit=2")
    assert second.json == {
        "rows": [{"id": 3, "body": "three"}],
        "next": f"{epoch(shop)}.3",
        "live": True,
    }
    assert second.content_type == "application/json"


def test_a_stream_and_requests_share_their_tokens(shop: Shop) -> None:
    shop.insert("one", "two")
    client = shop.seen(2)
    answer = client.get("/rows/notes?after=0&limit=1")
    assert answer.json is not None
    stream = client.get(f"/stream/notes?after={answer.json['next']}")
    chunks = stream.iter_encoded()
    text = next(chunks) + next(chunks) + next(chunks)
    assert b'"resumed":true' in text
    assert b'"body":"two"' in text
    assert b'"body":"one"' not in text
    stream.close()


# -- caches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", TIP),
        ("?after=0&limit=2", TIP),  # from the beginning of whichever history there is
        ("?after={epoch}.0&limit=2", FULL),
        ("?after={epoch}.1&limit=1&wait=3", FULL),
        ("?after={epoch}.1", TIP),
        ("?after={epoch}.3", TIP),
        ("?after=beef.3", TIP),
        ("?after=x", "no-store"),
        ("?limit=x", "no-store"),
    ],
)
def test_how_long_an_answer_is_kept(shop: Shop, query: str, kept: str) -> None:
    shop.insert("one", "two", "three")
    client = shop.seen(3)
    answer = client.get("/rows/notes" + query.format(epoch=epoch(shop)))
    assert answer.headers["Cache-Control"] == kept


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_what_one_client_may_see_is_kept_for_it_alone(shop: Shop, header: str) -> None:
    shop.insert("one", "two")
    shop.seen(2)
    client = shop.app.test_client(use_cookies=False)  # with its own it would drop the header
    path = f"/rows/notes?after={epoch(shop)}.0&limit=1"
    answer = client.get(path, headers={header: "Basic QTpC"})
    assert answer.headers["Cache-Control"] == FULL.replace("public", "private")


def test_the_application_has_the_last_word(shop: Shop) -> None:
    @shop.app.after_request
    def keep_nothing(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        return answer

    assert shop.ready().get("/rows/notes").headers["Cache-Control"] == "no-store"


def test_all_who_go_on_alike_ask_for_the_same_url(shop: Shop) -> None:
    shop.insert("one", "two", "three")
    client, start = shop.seen(3), epoch(shop)
    for query in (
        f"limit=2&after={start}.0&wait=20",
        f"wait=20&utm=x&limit=2&after={start}.0",
        f"after={start}.0&limit=0002&wait=20",
    ):
        link = client.get(f"/rows/notes?{query}").headers["Link"]
        assert link == f'<?after={start}.2&wait=20&limit=2>; rel="next"'


def test_a_token_with_gaps_needs_no_escapes() -> None:
    following = rows.Query("0", wait=None, limit=5).following("3f2a09c41e37a1b2.120!-aZ_0,1")
    assert following == "?after=3f2a09c41e37a1b2.120!-aZ_0,1&limit=5"


@pytest.mark.parametrize("header", [{"If-None-Match": "*"}, {"If-None-Match": '"x"'}])
def test_a_condition_is_not_looked_at(shop: Shop, header: dict[str, str]) -> None:
    """There is no ETag: a full answer is never asked for again, the others are small."""
    answer = shop.ready().get("/rows/notes", headers=header)
    assert answer.status_code == 200
    assert "ETag" not in answer.headers


def test_head_is_get_without_its_body_and_waits_for_nothing(shop: Shop) -> None:
    shop.insert("one")
    client = shop.seen(1)
    path = f"/rows/notes?after={epoch(shop)}.0"
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.data) == (200, b"")
    assert dict(head.headers) == dict(get.headers)
    with gevent.Timeout(60):
        assert client.head(f"/rows/notes?after={epoch(shop)}.1&{LONG}").status_code == 200
    assert client.post(path).status_code == 405


# -- waiting ------------------------------------------------------------------------------------


def test_a_request_that_waits_is_answered_when_a_row_comes(shop: Shop) -> None:
    client = shop.ready()
    asked = gevent.spawn(client.get, f"/rows/notes?after={epoch(shop)}.0&{LONG}")
    until(lambda: len(shop.feed.streams) == 1, "that it waits")
    shop.insert("news")
    with gevent.Timeout(60):
        answer = asked.get()
    assert bodies(answer) == ["news"]
    assert answer.headers["Cache-Control"] == TIP
    assert len(shop.feed.streams) == 0


@pytest.mark.parametrize("end", ["drain", "close"])
def test_a_request_that_waits_is_answered_at_the_end(shop: Shop, end: str) -> None:
    client = shop.ready()
    asked = gevent.spawn(client.get, f"/rows/notes?after={epoch(shop)}.0&{LONG}")
    until(lambda: len(shop.feed.streams) == 1, "that it waits")
    service_of(shop.app).drain() if end == "drain" else shop.feed.close()
    with gevent.Timeout(60):
        answer = asked.get()
    assert answer.json == {"rows": [], "next": f"{epoch(shop)}.0", "live": True}
    with gevent.Timeout(60):
        after = client.get(f"/rows/notes?after={epoch(shop)}.0&{LONG}")
    assert after.status_code == (200 if end == "drain" else 410)


def test_a_request_that_waits_takes_a_place_of_a_stream(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(max_streams=1)
    client = shop.ready()
    asked = gevent.spawn(client.get, f"/rows/notes?after={epoch(shop)}.0&{LONG}")
    until(lambda: len(shop.feed.streams) == 1, "that it waits")
    refused = client.get("/rows/notes")
    assert refused.status_code == 503
    assert 5 <= int(refused.headers["Retry-After"]) <= 15
    assert refused.json == {"error": "there is no place for you now"}
    assert b"retry: " in client.get("/stream/notes").data
    shop.insert("news")
    with gevent.Timeout(60):
        asked.get()
    assert client.get("/rows/notes").status_code == 200


def test_half_of_the_places_for_pages_are_for_who_does_not_wait(shop: Shop) -> None:
    service = service_of(shop.app)
    assert service.waiting.most == max(1, service.capacity.pages // 2)


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("after=x", "after"),
        ("after=abcd.1%0a", "after"),
        ("after=" + "9" * 5000, "after"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("wait=1.5", "wait"),
        ("wait=+1", "wait"),
    ],
)
def test_what_is_malformed_is_400_in_words(shop: Shop, query: str, named: str) -> None:
    answer = shop.ready().get(f"/rows/notes?{query}")
    assert answer.status_code == 400
    assert answer.json is not None
    assert named in answer.json["error"]
    assert len(answer.data) < 200


def test_raw_bytes_in_the_query_are_400(shop: Shop) -> None:
    answer = shop.ready().get("/rows/notes", environ_overrides={"QUERY_STRING": "after=\xff"})
    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["wait=99999&after=0", "limit=999999999&after=0"])
def test_more_than_the_most_counts_as_the_most(shop: Shop, query: str) -> None:
    shop.insert("one")
    assert bodies(shop.seen(1).get(f"/rows/notes?{query}")) == ["one"]


def test_an_unknown_table_is_404(shop: Shop) -> None:
    assert shop.client.get("/rows/passwords").status_code == 404
    assert shop.client.get("/rows").status_code == 404


@pytest.mark.parametrize(
    ("after", "reason"), [("beef.1", "unknown-history"), ("{epoch}.9", "ahead-of-table")]
)
def test_a_token_of_another_history_is_410_and_says_where_to_go_on(
    shop: Shop, after: str, reason: str
) -> None:
    shop.insert("one")
    client = shop.seen(1)
    after = after.format(epoch=epoch(shop))
    answer = client.get(f"/rows/notes?after={after}&{LONG}")
    assert answer.status_code == 410
    assert answer.json == {"reset": reason, "next": f"{epoch(shop)}.1"}


def test_a_token_that_nobody_can_place_yet_is_kept(shop: Shop) -> None:
    client = shop.ready()
    shop.notifier.stop(shop.app)
    after = f"{epoch(shop)}.7"
    with mock.patch.object(long_poll, "SETTLE_S", 0.0):
        answer = client.get(f"/rows/notes?after={after}")
    assert answer.json == {"rows": [], "next": after, "live": False}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_table_that_is_not_there_is_503_and_why(shop: Shop) -> None:
    sql.execute(shop.url, "DROP TABLE alarms")
    with mock.patch.object(long_poll, "SETTLE_S", 0.2):
        answer = shop.client.get("/rows/alarms?after=0")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(rows.NOT_READY_RETRY_S)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json is not None
    assert answer.json["error"]


def test_who_waits_alone_has_the_table_polled_at_once(make_shop: Callable[..., Shop]) -> None:
    """Whoever looks beside it and is gone does not count as somebody who listens."""
    shop = make_shop(poll_interval_s=0.02, idle_interval_s=3600)
    client = shop.ready()
    shop.insert("before")
    path = f"/rows/notes?after={epoch(shop)}.0"
    assert bodies(client.get(path)) == []
    for _ in range(2):
        asked = gevent.spawn(client.get, f"{path}&{LONG}")
        with gevent.Timeout(60):
            assert "before" in bodies(asked.get())
    assert shop.feed.streams._listening == 0
    held = client.get("/stream/notes")
    assert shop.feed.streams._listening == 1
    held.close()
    assert shop.feed.streams._listening == 0
