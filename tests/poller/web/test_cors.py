"""Pages of other origins: what they are told, and that none takes a place unless it may read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.logged import logged
from tests.poller.web.rooms import LINES, Rooms
from tests.poller.web.test_admit import FORMS, refused

Make = Callable[..., Rooms]

SHOP, EVIL = "https://shop.example", "https://evil.example"
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
FEEDS = ("notes", "news")


def paths() -> list[tuple[str, dict[str, str]]]:
    """Each form of each feed, with the headers that ask for it."""
    found = [
        (path.replace("notes", feed), wants) for path, wants in FORMS.values() for feed in FEEDS
    ]
    assert len(found) == 6
    return found


def test_a_listed_page_may_read_and_send_its_cookies(make_rooms: Make) -> None:
    rooms = make_rooms(origins=[SHOP])
    client = rooms.ready()
    for path, wants in paths():
        headers = {**CROSS, **wants, "Origin": SHOP, "Cookie": "session=x"}
        answer = client.head(path, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Access-Control-Expose-Headers"] == "Date, Link, Retry-After"
        assert "Origin" in answer.vary
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_may_read_why_it_was_refused(make_rooms: Make) -> None:
    rooms = make_rooms(lambda _: False, origins=[SHOP])
    client = rooms.ready()
    asked = {"Origin": SHOP, **CROSS}
    answers = [
        client.get("/stream/notes", headers=asked),
        client.get("/stream/news?room=x", headers=asked),
        client.get("/stream/nothing", headers=asked),
        client.get("/rows/notes", headers=asked),
        client.get("/rows/news?limit=x", headers=asked),
    ]
    assert [answer.status_code for answer in answers] == [403, 400, 403, 403, 400]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Origin" in answer.vary


@pytest.mark.parametrize("origin", [EVIL, "null", "https://www.shop.example", ""])
def test_another_page_gets_nothing_and_no_place(make_rooms: Make, origin: str) -> None:
    asked: list[object] = []
    rooms = make_rooms(asked.append, origins=[SHOP])
    client = rooms.ready()
    before = refused("origin") + refused("origin", "news")
    with logged() as lines:
        for path, wants in paths():
            headers = {**CROSS, **wants, "Cookie": "session=x"} | (
                {"Origin": origin} if origin else {}
            )
            answer = client.get(path, headers=headers)
            assert answer.status_code == 403
            assert answer.json == {"error": "pages of other sites may not read this"}
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.vary
    assert refused("origin") + refused("origin", "news") == before + 6
    assert asked == []
    assert [line["origin"] for line in lines if line["event"] == "refused"] == [origin] * 2
    assert rooms.service.stream_count == 0


def test_without_a_list_no_other_page_reads_not_even_what_is_public(make_rooms: Make) -> None:
    client = make_rooms().ready()
    for path, wants in paths():
        assert client.get(path, headers={**CROSS, **wants, "Origin": SHOP}).status_code == 403


def test_what_is_no_other_page_needs_no_permission(make_rooms: Make) -> None:
    client = make_rooms(origins=[SHOP]).ready()
    for path, wants in paths():
        for said in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}):
            answer = client.head(path, headers={**wants, **said})
            assert answer.status_code == 200
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Origin" in answer.vary


def test_any_page_may_read_without_cookies(make_rooms: Make) -> None:
    client = make_rooms(origins="*").ready()
    for path, wants in paths():
        headers = {**CROSS, **wants, "Origin": EVIL}
        answer = client.head(path, headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert client.head(path, headers={**headers, "Cookie": "session=x"}).status_code == 403


def test_a_preflight_is_answered_for_whoever_may_read(make_rooms: Make) -> None:
    asked: list[object] = []
    client = make_rooms(asked.append, origins=[SHOP]).ready()
    preflight = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "last-event-id,authorization, x-api-key,bad header,\x01",
    }
    for path in ("/stream/notes", "/rows/news", "/stream/nothing"):
        answer = client.options(path, headers={**preflight, **CROSS, "Origin": SHOP})
        assert (answer.status_code, answer.data) == (204, b"")
        said = answer.headers
        assert said["Access-Control-Allow-Origin"] == SHOP
        assert said["Access-Control-Allow-Credentials"] == "true"
        assert said["Access-Control-Allow-Methods"] == "GET, HEAD"
        names = "Authorization, Cache-Control, Last-Event-ID, x-api-key"
        assert said["Access-Control-Allow-Headers"] == names
        assert said["Access-Control-Max-Age"] == "600"
        assert {"Origin", "Access-Control-Request-Method"} <= {*answer.vary}
        refused = client.options(path, headers={**preflight, **CROSS, "Origin": EVIL})
        assert refused.status_code == 204
        assert not [name for name, _ in refused.headers if name.startswith("Access-Control")]
    assert asked == []


def test_a_header_that_the_application_set_itself_stays(make_rooms: Make) -> None:
    rooms = make_rooms()

    @rooms.app.after_request
    def ours(answer):  # type: ignore[no-untyped-def]
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer

    answer = rooms.ready().head("/rows/news", headers=LINES)
    assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]


def test_other_routes_are_not_concerned(make_rooms: Make) -> None:
    client = make_rooms(origins=[SHOP]).ready()
    answer = client.get("/healthz", headers={"Origin": SHOP, **CROSS})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_script_may_be_used_in_any_page(make_rooms: Make) -> None:
    """It holds no secret, and a page on another host needs it."""
    client = make_rooms().client
    for kind in ("js", "mjs"):
        answer = client.get(f"/rowcast.{kind}", headers={"Origin": EVIL, **CROSS})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize("origins", [["https://shop.example/"], "shop.example", ["null"]])
def test_a_mistake_in_the_list_is_told_at_start(make_rooms: Make, origins: object) -> None:
    with pytest.raises(ValueError, match="not what a browser sends"):
        make_rooms(origins=origins)
