"""Streams that move between workers of one process: real logs, streams and sockets, no protocol."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from typing import ClassVar

import msgspec
from gevent import monkey
from gevent.event import Event

from poller.access.admission import Admission
from poller.access.turns import Turns
from poller.delivery.event_log import EventLog
from poller.delivery.view import ALL, View
from poller.polling.loop import Poller
from poller.serving.luggage import Luggage
from poller.serving.movable import MovableStreams, Shared
from poller.serving.owned_socket import OwnedSocket
from poller.serving.streams import StreamRequest
from poller.serving.tenure import UNBOUNDED, Tenure
from tests.harness.greenlets import until
from tests.harness.simulation import FILTERS, SimulatedSource, SimulatedTable, settings
from tests.harness.sse import Event as Dispatched
from tests.harness.sse import Parser

PlainSocket = monkey.get_original("socket", "SocketType")
SHUT_DOWN_SEEN_S = 0.05
QUIET = {"heartbeat_s": 30.0, "log_capacity_rows": 100}


class MovingWorker:
    """A poller, a log and its streams, as a feed puts them together."""

    make_source: ClassVar[type[SimulatedSource]] = SimulatedSource
    make_log: ClassVar[type[EventLog]] = EventLog

    def __init__(
        self,
        table: SimulatedTable,
        *,
        form: str = "",
        most: int = 1000,
        replay: int | None = None,
        **changes: object,
    ) -> None:
        self.settings = settings(**{**QUIET, **changes})
        self.source = self.make_source(table, self.settings.history_rows)
        capacity = self.settings.log_capacity_rows, self.settings.log_capacity_bytes
        self.log = self.make_log(*capacity, FILTERS)
        self.problem = ""
        self.firsts = 0  # how often one listened and none did
        why, page = lambda: self.problem, self.source.page
        self.streams = MovableStreams(
            "test", self.log, page, self.settings, self._on_first, why, replay
        )
        listening = lambda: bool(self.streams)  # noqa: E731
        self.poller = Poller("test", self.source, self.log, self.settings, listening)
        self.admission, turns = Admission(most, per_address=2), Turns()
        self.streams.share(Shared(self.admission, lambda one: turns.of(one, "test"), lambda: form))

    def _on_first(self) -> None:
        self.firsts += 1

    def poll(self) -> None:
        self.poller.poll()

    def poll_until_quiet(self) -> None:
        while self.poller.poll() == 0.0:
            pass


class MeteredSocket(OwnedSocket):
    """One whose kernel takes only as many bytes as the client allows: a stream can be stopped after
    any of them, in whichever process it is."""

    __slots__ = ()
    left: ClassVar[defaultdict[int, float]] = defaultdict(lambda: float("inf"))  # by inode
    full: ClassVar[dict[int, Event]] = {}  # what waits there

    def send(self, data: bytes | memoryview) -> int:
        inode = os.fstat(self._socket.fileno()).st_ino
        allowed = memoryview(data)[: int(min(self.left[inode], len(data)))]
        sent = super().send(allowed)  # none are allowed: an end is noticed all the same
        self.left[inode] -= sent
        return sent

    def _wait_writable(self, deadline_s: float) -> None:
        inode = os.fstat(self._socket.fileno()).st_ino
        if self.left[inode]:
            super()._wait_writable(deadline_s)
            return
        self._waits = self.full[inode] = Event()
        self._waits.wait(SHUT_DOWN_SEEN_S)
        self._waits = None


class MovingClient:
    """A client's end, which stays the same wherever its stream goes."""

    def __init__(
        self,
        streams: MovableStreams,
        last_event_id: str | None = None,
        *,
        admission: Admission | None = None,
        view: View = ALL,
        chunked: bool = True,
        tenure: Tenure = UNBOUNDED,
        address: str = "",
        allowed: float = float("inf"),
        head: bytes = b"",
    ) -> None:
        served, self.socket = socket.socketpair()
        plain = PlainSocket(served.family, served.type, served.proto, fileno=served.detach())
        plain.setblocking(False)
        self.socket.setblocking(False)
        self._inode = os.fstat(plain.fileno()).st_ino
        MeteredSocket.left[self._inode] = allowed
        self.view, self.chunked = view, chunked
        self.events: list[Dispatched] = []
        self.parser = Parser()
        self._decoder = Decoder()
        ticket = (admission or Admission(1000)).ticket(address)
        asked = StreamRequest(last_event_id, address, ticket, nullcontext, view, tenure)
        self._head = head  # what is to come of it
        self.stream = streams.fan_out(asked, MeteredSocket(plain, chunked=chunked, head=head))

    def allow(self, more: float = float("inf"), *, only: bool = False) -> None:
        """Take so many more bytes, when they come; or `only` these."""
        left = 0 if only else MeteredSocket.left[self._inode]
        MeteredSocket.left[self._inode] = left + more
        if (waits := MeteredSocket.full.pop(self._inode, None)) is not None:
            waits.set()

    @property
    def is_full(self) -> bool:
        """Whether it takes nothing more."""
        return not MeteredSocket.left[self._inode]

    def read(self) -> None:
        """What has come."""
        while True:
            try:
                new = self.socket.recv(65536)
            except BlockingIOError:
                return
            if not new:
                return
            taken, self._head = self._head[: len(new)], self._head[len(new) :]
            assert new.startswith(taken)
            new = new[len(taken) :]
            self.parser.feed(self._decoder.decode(new) if self.chunked else new)
            self.events += self.parser.events
            self.parser.events.clear()

    @property
    def ids(self) -> list[int]:
        """Of the rows that came."""
        return [int(one.json["id"]) for one in self.events if one.type == "message"]

    @property
    def kinds(self) -> list[str]:
        """Of the events that came."""
        return [one.type for one in self.events]

    @property
    def ended_well(self) -> bool:
        """Whether the last chunk has come."""
        return self._decoder.ended

    def at_end(self) -> bool:
        """Whether the connection has ended."""
        self.read()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()
        del MeteredSocket.left[self._inode]
        MeteredSocket.full.pop(self._inode, None)


class Decoder:
    """Of the chunked coding, strictly (RFC 9112, 7.1): what is none of it fails."""

    def __init__(self) -> None:
        self._left = b""  # of a head or an end
        self._lacks = 0  # bytes of the chunk
        self._ends = self._is_last = False  # it has all of the chunk, but for its end
        self.ended = False

    def decode(self, new: bytes) -> bytes:
        """The body in these bytes."""
        data, body = self._left + new, b""
        while data:
            assert not self.ended, f"{data!r} after the end"
            if self._lacks:
                taken, data = data[: self._lacks], data[self._lacks :]
                body, self._lacks = body + taken, self._lacks - len(taken)
                self._ends = not self._lacks
                continue
            line, found, rest = data.partition(b"\r\n")
            if not found:
                assert len(data) < 10, f"no head of a chunk: {data[:40]!r}"
                break
            data = rest
            self._take_line(line)
        self._left = data
        return body

    def _take_line(self, line: bytes) -> None:
        if self._ends:
            assert not line, f"behind a chunk: {line!r}"
            self._ends, self.ended = False, self._is_last
            return
        self._lacks = int(line, 16)
        assert line == b"%x" % self._lacks, f"no head of a chunk: {line!r}"
        self._ends = self._is_last = not self._lacks


def move(
    giver: MovableStreams, taker: MovableStreams, most: int = 1000, *, settles: bool = True
) -> list[Luggage]:
    """Move what can be moved, as the protocol does: packed, by a copy of the descriptor."""
    giver.loosen()
    if settles:
        until(lambda: giver.settled, "that all have stopped")
    taken = giver.take_out(most)
    packed = msgspec.msgpack.encode([luggage for _, luggage in taken])
    copies = [copy_of(stream.client) for stream, _ in taken]
    giver.gone([stream for stream, _ in taken])
    luggage = msgspec.msgpack.decode(packed, type=list[Luggage])
    for one, copy in zip(luggage, copies, strict=True):
        taker.adopt(copy, one)
    giver.put_back([])
    return luggage


def copy_of(client: OwnedSocket) -> socket.socket:
    """The same connection by another descriptor."""
    copy: socket.socket = PlainSocket(fileno=os.dup(client._socket.fileno()))
    return copy


def worker_of(table: SimulatedTable, **changes: object) -> MovingWorker:
    """One that has polled."""
    worker = MovingWorker(table, **changes)  # type: ignore[arg-type]
    worker.poll_until_quiet()
    return worker


def end(all_streams: Iterable[MovableStreams], clients: Iterable[MovingClient]) -> None:
    """All of a test."""
    all_streams = [*all_streams]
    for streams in all_streams:
        streams.put_back([])
        streams.end("over")
        streams.cut()
        streams._fanout.signal.set()
    for client in clients:
        client.close()
    until(lambda: not any(one._fanout.running for one in all_streams), "the end of the fanouts")
