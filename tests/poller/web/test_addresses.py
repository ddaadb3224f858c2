"""Signed addresses, as an application gives them out and as anybody uses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from poller import Access
from poller.access import granted
from poller.delivery.view import View
from tests.harness.logged import logged
from tests.poller.web.rooms import Rooms
from tests.poller.web.test_admit import asked_for, refused
from tests.poller.web.test_cors import CROSS, EVIL

Make = Callable[..., Rooms]


@pytest.fixture
def rooms(make_rooms: Make) -> Rooms:
    """One that lets nobody read."""
    rooms = make_rooms(lambda _: False)
    rooms.ready()
    return rooms


def address(rooms: Rooms, name: str = "notes", expires_s: float = 60, **said: Any) -> str:
    with rooms.app.test_request_context():
        return rooms.notifier.url_for(name, expires_s=expires_s, **said)


def query(url: str) -> str:
    return urlsplit(url).query


def test_whoever_has_it_may_read_what_it_names(rooms: Rooms) -> None:
    assert asked_for(rooms, query(address(rooms, room=7))) == View.of({"room": [7]})
    url = address(rooms, filter={"room": [7, 8]}, columns=["room", "body"], author="ann")
    view = View.of({"room": [7, 8], "author": ["ann"]}, ["id", "room", "body"])
    assert asked_for(rooms, query(url)) == view
    assert asked_for(rooms, query(url) + "&room=8") == View.of(
        {"room": [8], "author": ["ann"]}, ["id", "room", "body"]
    )


def test_a_query_never_widens_it(rooms: Rooms) -> None:
    signed = query(address(rooms, room=7))
    for more in ("room=8", "room=7&room=8", "null=room"):
        answer = asked_for(rooms, f"{signed}&{more}")
        assert isinstance(answer, tuple)
        assert answer[0] == 403


def test_it_is_the_same_for_rows_and_goes_on_with_the_next(rooms: Rooms) -> None:
    signed = query(address(rooms, room=7))
    answer = rooms.client.get(f"/rows/notes?{signed}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    following = answer.headers["Link"].partition(">")[0][1:]
    assert following.endswith(f"&{signed}")
    assert rooms.client.get(f"/rows/notes{following}").status_code == 200


def test_it_may_be_read_in_any_page_but_not_for_its_cookies(rooms: Rooms) -> None:
    url = address(rooms, room=7)
    for origin in (EVIL, "null"):
        answer = rooms.client.head(url, headers={**CROSS, "Origin": origin, "Cookie": "session=x"})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_it_is_relative_or_whole_as_flask_has_it(rooms: Rooms) -> None:
    assert address(rooms).startswith("/stream/notes?signed=")
    assert address(rooms, _external=True).startswith("http://localhost/stream/notes?signed=")


def elsewhere(rooms: Rooms) -> Iterator[tuple[str, str, str]]:
    """Addresses that are not good where they are used, each with the reason."""
    url = address(rooms, room=7)
    yield url.replace("notes", "news"), "other-feed", "news"
    yield address(rooms, "news").replace("news", "notes"), "other-feed", "notes"
    ((_, text),) = parse_qsl(query(url))
    payload, _, signature = text.rpartition(".")
    for changed in (payload, payload + "." + signature[::-1], "", "x", text.upper(), "0" * 9999):
        yield f"/stream/notes?{urlencode({'signed': changed})}", "signature", "notes"
    yield f"/stream/notes?signed=&{query(url)}", "signature", "notes"  # the first one counts


def test_anywhere_else_it_is_good_for_nothing(rooms: Rooms) -> None:
    for url, reason, feed in elsewhere(rooms):
        before = refused(reason, feed)
        with logged() as lines:
            answer = rooms.client.get(url)
        assert answer.status_code == 403
        assert answer.json == {"error": "this address is not good here, or no longer"}
        assert refused(reason, feed) == before + 1
        assert "signed" not in json.dumps(lines)


def test_it_is_asked_instead_of_the_application_not_beside_it(make_rooms: Make) -> None:
    rooms = make_rooms(lambda _: True)
    rooms.ready()
    assert rooms.client.get("/stream/notes?signed=x").status_code == 403


def test_it_ends(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    url = address(rooms, expires_s=60)
    later = granted.now() + 61
    monkeypatch.setattr(granted, "now", lambda: later)
    before = refused("expired")
    assert rooms.client.get(url).status_code == 403
    assert refused("expired") == before + 1


def test_an_old_key_is_believed_while_the_application_says_so(rooms: Rooms) -> None:
    url = address(rooms)
    old, rooms.app.secret_key = rooms.app.secret_key, "a new key"
    assert rooms.client.head(url).status_code == 403
    rooms.app.config["SECRET_KEY_FALLBACKS"] = [old]
    assert rooms.client.head(url).status_code == 200
    assert rooms.client.head(address(rooms)).status_code == 200


def test_what_is_gone_since_is_refused(rooms: Rooms) -> None:
    with mock.patch.object(type(rooms.feed), "described", new=False):  # so it is not looked at
        url = address(rooms, columns=["gone"])
    assert rooms.client.get(url).status_code == 403


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ({"room": "07"}, ValueError, "not an integer"),
        ({"body": "x"}, ValueError, "body is no filter of notes"),
        ({"nothing": "x"}, ValueError, "nothing is no filter of notes"),
        ({"columns": ["secret"]}, ValueError, "secret is no column"),
        ({"expires_s": 0}, ValueError, "for how many seconds"),
        ({"name": "nothing"}, KeyError, "nothing"),
    ],
)
def test_what_cannot_be_given_out_is_an_error(
    rooms: Rooms, said: Mapping[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        address(rooms, **said)


def test_it_needs_a_key(rooms: Rooms) -> None:
    rooms.app.secret_key = None
    with pytest.raises(RuntimeError, match=r"set app\.secret_key"):
        address(rooms)
    assert rooms.client.get("/stream/notes?signed=x").status_code == 403


def test_it_is_bounded_as_any_stream_that_is_not_public(rooms: Rooms) -> None:
    """So a key that was taken back ends what it let in."""
    rooms.authorize = lambda _: Access()
    url = address(rooms, "news")
    opened = rooms.client.get(url, buffered=False)
    chunks = opened.iter_encoded()
    next(chunks)
    assert len(rooms.service.feed("news").streams._tenures) == 1
    opened.close()
    assert len(rooms.service.feed("news").streams._tenures) == 0
