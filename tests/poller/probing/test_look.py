"""A look over real sockets, at servers that do as a script says."""

from __future__ import annotations

import struct
import time
from threading import Event

import msgspec
import pytest

from poller.probing import exchange as exchanges
from poller.probing import http2
from poller.probing.address import Address
from poller.probing.exchange import Enough, Exchange, Request
from poller.probing.findings import findings_of
from poller.probing.look import Asked, look
from poller.probing.observed import Answer, Observed
from tests.poller.probing.scripted import CHUNKED, END, HEAD, Connection, server
from tests.poller.probing.seen import find

DRIP_S = 0.05
BOUND_S = 30.0  # no look here lasts so long: the servers end their streams
ROW = "id: 1\ndata: {}\n\n"


def asked(url: str, **others: object) -> Asked:
    return Asked(Address.of(url), BOUND_S, **{"short_s": BOUND_S, **others})  # type: ignore[arg-type]


def exchange(url: str, seconds: float = BOUND_S, enough: Enough = lambda _: False) -> Answer:
    return Exchange(Request(Address.of(url), seconds, {}, enough=enough), None).run()


def one_row(client: Connection) -> None:
    client.say(CHUNKED)
    client.chunk(ROW)
    client.say(END)


def test_each_piece_comes_with_its_time_and_the_look_ends_when_it_has_seen_enough() -> None:
    def answer(client: Connection) -> None:
        client.say(CHUNKED)
        client.chunk(ROW)
        client.wait_gone()

    with server(answer) as url:
        seen = exchange(url, enough=bool)
    assert (seen.status, seen.http, seen.end) == (200, "1.1", "open")
    (piece,) = seen.arrivals
    assert piece.data == ROW.encode()
    assert 0 < seen.connected_s <= seen.head_s <= piece.at_s <= seen.end_s


@pytest.mark.parametrize(
    ("head", "last", "end"),
    [
        (CHUNKED, "0\r\n\r\n", "whole"),
        (CHUNKED, "", "cut"),
        (CHUNKED, "20\r\nda", "cut"),
        (f"{HEAD}Connection: close\r\n\r\n", "", "whole"),
        (f"{HEAD}Content-Length: 99\r\n\r\n", "", "cut"),
    ],
)
def test_an_end_is_told_from_a_cut(head: str, last: str, end: str) -> None:
    def answer(client: Connection) -> None:
        client.say(head)
        client.chunk(ROW)
        client.say(last)

    with server(answer) as url:
        assert exchange(url).end == end


@pytest.mark.parametrize("closing", ["", "Connection: close\r\n"])
def test_each_wait_is_for_what_is_left_of_the_time(closing: str) -> None:
    """http.client lets go of the socket where the server is to close it."""

    def answer(client: Connection) -> None:
        client.say(CHUNKED.replace("\r\n\r\n", f"\r\n{closing}\r\n"))
        client.chunk(ROW)
        client.chunk(ROW)
        client.wait_gone()

    with server(answer) as url:
        request = Request(Address.of(url), BOUND_S, {}, enough=lambda got: len(got) == 2)
        one = Exchange(request, None)
        seen = one.run()
    assert one._socket is not None
    assert 0 < (one._socket.gettimeout() or 0) <= BOUND_S - seen.arrivals[0].at_s


def test_a_server_that_says_nothing_is_silent_and_one_that_is_not_there_a_problem() -> None:
    with server(Connection.wait_gone) as url:
        assert exchange(url, 0.2).end == "silent"
    nowhere = look(asked("http://127.0.0.1:1/stream"))
    assert "refused" in nowhere.first.problem
    with server(lambda _: None) as url:
        assert exchange(url).problem


@pytest.mark.parametrize(
    ("begin", "drip", "end"),
    [
        ("HTTP/1.1 200 OK\r\nX: ", "x", "silent"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "silent"),
        (CHUNKED, "0", "open"),
    ],
)
def test_a_server_that_drips_is_left_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, begin: str, drip: str, end: str
) -> None:
    """Each byte would let the client wait for the next one as long again."""
    monkeypatch.setattr(exchanges, "OVERTIME_S", 0.1)
    left = Event()

    def answer(client: Connection) -> None:
        client.say(begin)
        try:
            for _ in range(int(BOUND_S / DRIP_S)):
                client.say(drip)
                time.sleep(DRIP_S)
        except OSError:
            left.set()

    with server(answer) as url:
        seen = exchange(url, 0.3)
        assert (seen.end, seen.problem) == (end, "")
        assert left.wait(BOUND_S)


def test_the_header_and_the_parameter_are_tried_with_an_id_that_has_a_row_behind_it() -> None:
    asked_for = []

    def answer(client: Connection) -> None:
        after = client.header("last-event-id") or client.line.partition("lastEventId=")[2][:1]
        asked_for.append(after)
        client.say(CHUNKED)
        for number in range(int(after or 0) + 1, 4):
            client.chunk(f"id: {number}\ndata: {{}}\n\n")
        client.say(END)

    with server(answer) as url:
        seen = look(asked(url))
    assert {one.by: one.after for one in seen.resumed} == {
        "Last-Event-ID": "2",
        "lastEventId": "2",
        "last_event_id": "2",
        "lastEventID": "2",
    }
    assert sorted(asked_for) == ["", "", "", "", "2", "2"]
    finding = find("resume", seen)
    assert finding.state == "ok"
    assert "?lastEventId= does, too" in finding.sentence


def test_redirects_are_followed_without_a_login_for_another_host() -> None:
    logins = []

    def answer(client: Connection) -> None:
        logins.append(client.header("authorization"))
        one_row(client)

    with server(answer) as url:

        def lead(client: Connection) -> None:
            client.say(f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")

        with server(lead) as first_url:
            seen = look(asked(first_url, headers={"Authorization": "Bearer secret"}))
    assert seen.redirects == [url]
    assert find("answer", seen).sentence == "It is an event stream, after 1 redirect."
    assert {*logins} == {""}


def test_a_page_of_another_origin_asks_as_a_browser_does() -> None:
    requests = []

    def answer(client: Connection) -> None:
        requests.append(client)
        one_row(client)

    with server(answer) as url:
        headers = {"Authorization": "Bearer secret"}
        look(asked(url, origin="https://shop.example", headers=headers))
    preflights = [one for one in requests if one.line.startswith("OPTIONS")]
    (preflight,) = preflights
    assert preflight.header("origin") == "https://shop.example"
    names = preflight.header("access-control-request-headers")
    assert names == "authorization,last-event-id"
    assert not preflight.header("authorization")
    with_origin = [one for one in requests if one.header("origin")]
    assert len(with_origin) == 2


def test_a_stream_is_left_when_its_time_is_over() -> None:
    def answer(client: Connection) -> None:
        client.say(CHUNKED)
        client.wait_gone()

    with server(answer) as url:
        assert exchange(url, 0.2).end in ("open", "silent")  # a busy machine sees no head


def test_what_was_seen_can_be_kept_and_judged_again() -> None:
    with server(one_row) as url:
        seen = look(asked(url))
    again = msgspec.json.decode(msgspec.json.encode(seen), type=Observed)
    assert again == seen
    assert findings_of(again) == findings_of(seen)


def test_the_number_of_streams_in_settings() -> None:
    pairs = struct.pack(">HIHI", 1, 4096, 3, 128)
    assert http2.streams_in(pairs) == 128
    assert http2.streams_in(pairs[:6]) is None
    assert http2.streams_in(pairs + b"\0") == 128
    assert http2.streams_in(b"") is None
