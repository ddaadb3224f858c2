"""How long a stream stays that `authorize` allowed, and its end by `disconnect()`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from flask import Request
from werkzeug.test import TestResponse

from poller import Access
from poller.access import granted
from poller.serving import siblings, tenure
from poller.serving.tenure import Tenure
from poller.web import admit
from tests.harness.greenlets import PATIENCE_S, until
from tests.poller.web.rooms import LINES, Rooms

Make = Callable[..., Rooms]

SOON_S = 0.05


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenure, "TICK_S", 0.01)


@pytest.fixture
def granted_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tenure]]:
    """What each stream is granted, noted."""
    noted: list[Tenure] = []
    begin = tenure.Tenures.begin

    def note(tenures: tenure.Tenures, stream: tenure.Ends, tenure: Tenure) -> None:
        noted.append(tenure)
        begin(tenures, stream, tenure)

    monkeypatch.setattr(tenure.Tenures, "begin", note)
    return noted  # type: ignore[return-value]


def soon(_: Request) -> Access:
    return Access(until=granted.now() + SOON_S)


def tagged(request: Request) -> Access:
    return Access(tag=request.headers["Authorization"])


def rest(response: TestResponse) -> bytes:
    """What comes until the server ends the stream."""
    with gevent.Timeout(PATIENCE_S), response:
        return b"".join(response.iter_encoded())


def opened(rooms: Rooms, path: str = "/stream/notes", **headers: str) -> TestResponse:
    return rooms.ready().get(path, headers=headers, buffered=False)


def test_a_stream_ends_in_order_and_its_client_comes_back_soon(make_rooms: Make) -> None:
    rooms = make_rooms(soon)
    rooms.insert((7, "ann", "one"))
    body = rest(opened(rooms, Last_Event_ID="0"))
    *events, end = body.decode().split("\n\n")
    assert any('"one"' in event for event in events)
    last = [line for line in end.split("\n") if line][-1]
    soonest, latest = tenure.RETRY_MS
    assert soonest <= int(last.removeprefix("retry: ")) <= latest
    assert len(rooms.feed.streams) == 0


def test_so_do_lines(make_rooms: Make) -> None:
    body = rest(opened(make_rooms(soon), Accept=LINES["Accept"]))
    assert json.loads(body.splitlines()[-1]).keys() == {"retry"}


def test_a_request_that_waits_is_answered_at_the_end(make_rooms: Make) -> None:
    rooms = make_rooms(soon)
    token = rooms.ready().get("/rows/notes").json
    assert token is not None
    with gevent.Timeout(PATIENCE_S):  # it would wait for longer
        answer = rooms.client.get(f"/rows/notes?after={token['next']}&wait=50")
    assert answer.json == {"rows": [], "next": token["next"], "live": True}


def test_the_lifetime_is_spread_and_never_longer(
    make_rooms: Make, granted_for: list[Tenure]
) -> None:
    rooms = make_rooms(settings={"stream_lifetime_s": 100})
    began_at = time.monotonic()
    for _ in range(10):
        opened(rooms).close()
    ended_at = time.monotonic()
    ends = [one.until for one in granted_for if one.until is not None]
    assert len(ends) == 10
    assert len({*ends}) > 1
    shortest = 100 * (1 - admit.LIFETIME_SHARE)
    assert all(began_at + shortest <= end <= ended_at + 100 for end in ends)


def test_what_the_application_says_is_the_end_if_that_is_sooner(
    make_rooms: Make, granted_for: list[Tenure]
) -> None:
    rooms = make_rooms(lambda _: Access(until=granted.now() + 5, tag=7))
    rooms.authorize, later = (lambda _: Access(until=granted.now() + 1e6)), rooms.authorize
    opened(rooms).close()
    rooms.authorize = later
    opened(rooms).close()
    first, second = [one for one in granted_for if one.until is not None]
    now = time.monotonic()
    assert first.until is not None
    assert second.until is not None
    assert first.until > now + 100
    assert second.until <= now + 5
    assert (first.tag, second.tag) == ("", "7")


def test_a_public_feed_has_no_end(make_rooms: Make, granted_for: list[Tenure]) -> None:
    opened(make_rooms(), "/stream/news").close()
    assert granted_for == [tenure.UNBOUNDED]


# -- disconnect ---------------------------------------------------------------------------------


def test_the_streams_of_a_tag_end_and_no_others(make_rooms: Make) -> None:
    rooms = make_rooms(tagged)
    ann = [opened(rooms, Authorization="ann"), opened(rooms, Authorization="ann", **LINES)]
    bob = opened(rooms, Authorization="bob")
    for stream in (*ann, bob):
        next(stream.iter_encoded())
    with rooms.app.app_context():
        rooms.notifier.disconnect("ann")
    assert all(b"retry" in rest(stream) for stream in ann)
    assert len(rooms.feed.streams) == 1
    rooms.notifier.disconnect("bob", app=rooms.app)
    assert b"retry" in rest(bob)
    assert rooms.service.stream_count == 0


def test_a_request_that_waits_is_answered_then(make_rooms: Make) -> None:
    rooms = make_rooms(tagged)
    headers = {"Authorization": "ann"}
    token = rooms.ready().get("/rows/notes", headers=headers).json
    assert token is not None
    path = f"/rows/notes?after={token['next']}&wait=50"
    asked = gevent.spawn(rooms.client.get, path, headers=headers)
    until(lambda: len(rooms.feed.streams) == 1, "that it waits")
    rooms.service.disconnect("ann")
    with gevent.Timeout(PATIENCE_S):
        answer = asked.get()
    assert answer.json is not None
    assert answer.json["rows"] == []


def test_one_that_was_allowed_before_and_opens_after_ends_at_once(make_rooms: Make) -> None:
    """The user logs out between the application's word and the stream's first byte."""
    rooms = make_rooms(tagged)

    @rooms.app.after_request
    def logout(answer):  # type: ignore[no-untyped-def]
        rooms.service.disconnect("ann")
        return answer

    body = rest(opened(rooms, Authorization="ann"))
    assert b"event: start" not in body
    assert body.count(b"retry: ") == 2
    rows = rooms.client.get("/rows/notes?after=0&wait=50", headers={"Authorization": "ann"})
    assert rows.json is not None
    assert rows.json["rows"] == []


def test_another_worker_hears_of_it(make_rooms: Make) -> None:
    rooms = make_rooms(tagged)
    stream = opened(rooms, Authorization="ann")
    next(stream.iter_encoded())
    siblings.ours._handle(b'["disconnect",["/elsewhere","ann"]]')
    siblings.ours._handle(b'["disconnect",["","bob"]]')
    assert len(rooms.feed.streams) == 1
    siblings.ours._handle(b'["disconnect",["","ann"]]')
    assert b"retry" in rest(stream)


def test_what_is_no_tag_is_an_error(make_rooms: Make) -> None:
    rooms = make_rooms()
    with pytest.raises(ValueError, match="tag"):
        rooms.notifier.disconnect("", app=rooms.app)
