"""The streams of a feed on real sockets, without a server: turns, rounds and silence."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import gevent
import pytest
from gevent import monkey

from poller.access.admission import Admission
from poller.delivery.entry import Entry
from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.delivery.view import ALL, View
from poller.ids.cursor import Cursor
from poller.ids.named import Change, Named
from poller.reading.snapshot import Found, History
from poller.runtime.hub import in_slices
from poller.runtime.settings import Settings
from poller.serving import fanout
from poller.serving.owned_socket import OwnedSocket
from poller.serving.streams import StreamRequest, Streams
from poller.serving.tenure import UNBOUNDED, Tenure
from tests.harness.greenlets import until

EPOCH = "57c20f"
HEARTBEAT_S = 0.3
STEP_S = 0.005


class Bench:
    """Streams of a log on socket pairs, with no server around them."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.log = EventLog(10_000, 64 * 2**20, ["room"])
        settings = Settings(heartbeat_s=HEARTBEAT_S)
        none = Found(History("place", EPOCH), [])
        self.streams = Streams("bench", self.log, lambda *_: none, settings, lambda: None, str)

    def row(self, row_id: int, size_bytes: int = 50, room: int | None = None) -> None:
        change = Change(self.log.held, self.log.held.then([(row_id, row_id)]))
        lines = b"data: " + b"x" * size_bytes + b"\n"
        frame = lines + b"id: %s.%d\n\n" % (EPOCH.encode(), row_id)
        entry = Entry(row_id, change, 1, change.after.mark, frame, len(lines), (room,))
        self.log.extend([entry], change.after)

    def open(
        self,
        last_event_id: str | None = None,
        view: View = ALL,
        tenure: Tenure = UNBOUNDED,
    ) -> socket.socket:
        ours, theirs = socket.socketpair()
        plain = monkey.get_original("socket", "SocketType")
        taken = plain(ours.family, ours.type, ours.proto, fileno=ours.detach())
        taken.setblocking(False)
        ticket = Admission(10_000).ticket(None)
        self.streams.fan_out(
            StreamRequest(last_event_id, "", ticket, nullcontext, view, tenure), OwnedSocket(taken)
        )
        theirs.settimeout(0.01)
        self.clients.append(theirs)
        return theirs

    def close(self) -> None:
        self.streams.end("over")
        for client in self.clients:
            client.close()
        until(lambda: not self.streams._fanout.running, "the end of the fanout at its next tick")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def received(client: socket.socket) -> bytes:
    data = b""
    while True:
        try:
            data += client.recv(65536)
        except TimeoutError:
            return data


def test_a_client_that_is_ahead_gets_heartbeats(bench: Bench) -> None:
    bench.log.begin(EPOCH, Named.of(Cursor.at(50)))
    bench.log.passed(1000)
    client = bench.open(f"{EPOCH}.1000")
    until(lambda: received(client), "its greeting")
    row_ids = itertools.count(51)

    def silence_is_broken() -> bool:
        bench.row(next(row_ids))
        return received(client) != b""

    until(silence_is_broken, "a heartbeat while rows come")


def test_first_row_after_a_time_without_streams_takes_one_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.log.begin(EPOCH, Named.of(Cursor.at(0)))
    for row_id in range(1, 2000):
        bench.row(row_id, 2000)
    bench.log.passed(None)
    rounds: list[float] = []
    whole: Callable[[fanout.Fanout], None] = fanout.Fanout._round

    def counted(self: fanout.Fanout) -> None:
        rounds.append(time.monotonic())
        whole(self)

    monkeypatch.setattr(fanout.Fanout, "_round", counted)
    client = bench.open()
    until(lambda: received(client), "its greeting")
    rounds.clear()
    bench.row(2000)
    until(lambda: b"id: 57c20f.2000" in received(client), "the row")
    until(lambda: not bench.streams._fanout.signal.is_set(), "that no further round is to come")
    assert len(rounds) <= 2, f"{len(rounds)} rounds over all streams for one row"


def test_who_was_disconnected_before_the_stream_opened_gets_no_row(bench: Bench) -> None:
    """Such as those that came since: `authorize` may have taken its time."""
    bench.log.begin(EPOCH, Named.of(Cursor.at(0)))
    bench.log.passed(0)
    asked_at = time.monotonic()
    bench.streams.disconnect("ann")
    bench.row(1)
    client = bench.open(f"{EPOCH}.0", tenure=Tenure(None, "ann", asked_at))
    told = b"".join(iter(lambda: client.recv(65536), b""))  # to its end
    assert told.startswith(b"retry: ")
    assert b"data" not in told
    assert len(bench.streams) == 0
    again = bench.open(f"{EPOCH}.0", tenure=Tenure(None, "ann", time.monotonic()))
    until(lambda: b"id: 57c20f.1" in received(again), "the row for who was asked for since")


def test_a_view_is_there_as_long_as_a_stream_has_it(bench: Bench) -> None:
    bench.log.begin(EPOCH, Named.of(Cursor.at(0)))
    bench.log.passed(0)
    room = View.of({"room": [1]})
    everything = [bench.log.views.everything]
    for _ in range(2):
        two = [bench.open(view=room) for _ in range(2)]
        assert len([*bench.log.views]) == 2
        for client in two:
            assert [*bench.log.views] != everything
            client.close()
            left = len(bench.streams) - 1
            until(lambda most=left: len(bench.streams) <= most, "its end")  # type: ignore[misc]
        assert [*bench.log.views] == everything


def test_rows_reach_the_streams_of_their_view_and_others_are_told_the_position(
    bench: Bench,
) -> None:
    bench.log.begin(EPOCH, Named.of(Cursor.at(0)))
    bench.log.passed(0)
    rooms = [View.of({"room": [room]}) for room in (1, 2)]
    clients = [bench.open(view=view) for view in rooms]
    for client in clients:
        until(lambda one=client: b"event: live" in received(one), "its greeting")  # type: ignore[misc]
    bench.row(1, room=1)
    tag = rooms[0].tag.encode()
    until(lambda: b"id: 57c20f.%b.1" % tag in received(clients[0]), "the row")
    told = b"event: position\ndata: {}\nid: 57c20f.%b.1\n\n" % rooms[1].tag.encode()
    until(lambda: told in received(clients[1]), "the position")


def test_a_view_that_got_nothing_is_not_touched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.log.begin(EPOCH, Named.of(Cursor.at(0)))
    bench.log.passed(0)
    many = [bench.open(view=View.of({"room": [room]})) for room in range(50)]
    for client in many:
        until(lambda one=client: received(one), "its greeting")  # type: ignore[misc]
    asked: list[Subscriber] = []
    for name in ("advance", "chunk_at_once"):
        whole = getattr(Subscriber, name)

        def noted(self: Subscriber, *others: object, whole: Any = whole) -> Any:
            asked.append(self)
            return whole(self, *others)

        monkeypatch.setattr(Subscriber, name, noted)
    for row_id in range(1, 21):
        bench.row(row_id, room=7 if row_id % 2 else 99)
    rows = 0

    def all_rows() -> bool:
        nonlocal rows
        rows += received(many[7]).count(b"data: x")
        return rows == 10

    until(all_rows, "its rows")
    assert {one.view.view for one in asked} == {View.of({"room": [7]})}


def test_timers_run_while_a_round_goes_on() -> None:
    """gevent looks at timers and sockets after 50 turns of `sleep(0)` only."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            gevent.sleep(STEP_S)
            ticks += 1

    ticker = gevent.spawn(tick)
    until(lambda: ticks, "a tick")
    # Processor time: while the machine does something else, nothing of this can run.
    ticks, began_at = 0, time.thread_time()
    for _ in in_slices([None] * 3200):
        busy_until = time.monotonic() + 0.0002
        while time.monotonic() < busy_until:
            pass
    took_s = time.thread_time() - began_at
    ticker.kill()
    assert ticks >= took_s / 0.05, f"{ticks} ticks of 5 ms in a round of {took_s:.2f} s"
