"""The stream as JSON lines, for whoever asks for them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from werkzeug.test import TestResponse

from poller.web.current import service_of
from tests.poller.web.conftest import Shop

LINES = {"Accept": "application/x-ndjson"}


def said(response: TestResponse) -> Iterator[Any]:
    """The objects, one by one; None for an empty line."""
    for chunk in response.iter_encoded():
        assert chunk.endswith(b"\n")
        for line in chunk.decode().split("\n")[:-1]:
            yield json.loads(line) if line else None


def test_a_line_says_what_it_is_and_where_to_go_on(shop: Shop) -> None:
    shop.insert("one")
    client = shop.seen(1)
    response = client.get("/stream/notes?after=0", headers=LINES)
    assert response.content_type == "application/x-ndjson"
    assert response.headers["Cache-Control"] == "no-store, no-transform"
    lines, epoch = said(response), shop.feed.log.epoch
    assert [next(lines) for _ in range(5)] == [
        {"retry": 2000},
        {"start": {"feed": "notes", "resumed": True}, "next": f"{epoch}.0"},
        {"row": {"id": 1, "body": "one"}, "next": f"{epoch}.1"},
        {"live": True, "next": f"{epoch}.1"},
        None,  # a heartbeat
    ]
    shop.insert("two")
    with gevent.Timeout(60):
        row = next(line for line in lines if line)
    assert row == {"row": {"id": 2, "body": "two"}, "next": f"{epoch}.2"}
    response.close()
    assert len(shop.feed.streams) == 0


def test_a_reset_is_a_line_with_its_reason(shop: Shop) -> None:
    client = shop.ready()
    response = client.get("/stream", headers={**LINES, "Last-Event-ID": "nonsense"})
    lines, epoch = said(response), shop.feed.log.epoch
    assert [next(lines) for _ in range(4)] == [
        {"retry": 2000},
        {"start": {"feed": "notes", "resumed": False}},
        {"reset": "malformed-id", "next": f"{epoch}.0"},
        {"live": True, "next": f"{epoch}.0"},
    ]
    response.close()


def test_a_drain_tells_when_to_come_back_and_ends(shop: Shop) -> None:
    response = shop.ready().get("/stream", headers=LINES)
    lines = said(response)
    assert "start" in [next(lines) for _ in range(2)][-1]
    service_of(shop.app).drain()
    with gevent.Timeout(60):
        *_, last = (line for line in lines if line)
    assert last.keys() == {"retry"}
    response.close()
    refused = shop.client.get("/stream", headers=LINES)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] in ("1", "2")


def test_over_capacity_it_is_503(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(max_streams=1)
    client = shop.ready()
    held = client.get("/stream")
    refused = client.get("/stream", headers=LINES)
    assert refused.status_code == 503
    assert 5 <= int(refused.headers["Retry-After"]) <= 15
    held.close()


def test_a_closed_feed_is_204_and_head_opens_nothing(shop: Shop) -> None:
    client = shop.ready()
    head = client.head("/stream/notes", headers=LINES)
    assert (head.status_code, head.content_type) == (200, "application/x-ndjson")
    assert len(shop.feed.streams) == 0
    shop.feed.close()
    assert client.get("/stream/notes", headers=LINES).status_code == 204


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("*/*", "text/event-stream; charset=utf-8"),
        ("application/json", "text/event-stream; charset=utf-8"),
        ("text/event-stream, application/x-ndjson;q=0.9", "text/event-stream; charset=utf-8"),
        ("", "text/event-stream; charset=utf-8"),
    ],
)
def test_only_who_asks_for_lines_gets_them(shop: Shop, accept: str, content_type: str) -> None:
    response = shop.client.get("/stream", headers={"Accept": accept})
    assert response.content_type == content_type
    response.close()
