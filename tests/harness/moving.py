"""Streams that move between workers of one process: real logs, streams and sockets, no protocol."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import nullcontext
from typing import ClassVar

import msgspec
from gevent import monkey

from poller.access.admission import Admission
from poller.access.turns import Turns
from poller.delivery.event_log import EventLog
from poller.delivery.view import ALL, View
from poller.polling.loop import Poller
from poller.serving.luggage import Luggage
from poller.serving.movable import MovableStreams, Shared
from poller.serving.owned_socket import OwnedSocket
from poller.serving.socket_stream import SocketStream
from poller.serving.streams import StreamRequest
from poller.serving.tenure import UNBOUNDED, Tenure
from tests.harness.greenlets import until
from tests.harness.simulation import FILTERS, SimulatedSource, SimulatedTable, settings
from tests.harness.sse import Parser

PlainSocket = monkey.get_original("socket", "SocketType")
QUIET = {"heartbeat_s": 30.0, "log_capacity_rows": 100}


class MovingWorker:
    """A poller, a log and its streams, as a feed puts them together."""

    make_source: ClassVar[type[SimulatedSource]] = SimulatedSource
    make_log: ClassVar[type[EventLog]] = EventLog

    def __init__(
        self, table: SimulatedTable, *, form: str = "", most: int = 1000, **changes: object
    ) -> None:
        self.settings = settings(**{**QUIET, **changes})
        self.source = self.make_source(table, self.settings.history_rows)
        capacity = self.settings.log_capacity_rows, self.settings.log_capacity_bytes
        self.log = self.make_log(*capacity, FILTERS)
        self.problem = ""
        self.firsts = 0  # how often one listened and none did
        self.streams = MovableStreams(
            "test", self.log, self.source.page, self.settings, self._on_first, lambda: self.problem
        )
        self.poller = Poller(
            "test", self.source, self.log, self.settings, lambda: bool(self.streams)
        )
        self.admission = Admission(most, per_address=2)
        turns = Turns()
        self.streams.share(
            Shared(self.admission, lambda address: turns.of(address, "test"), lambda: form)
        )

    def _on_first(self) -> None:
        self.firsts += 1

    def poll_until_quiet(self) -> None:
        while self.poller.poll() == 0.0:
            pass

    def open(
        self,
        client: OwnedSocket,
        last_event_id: str | None,
        view: View,
        tenure: Tenure,
        address: str,
    ) -> SocketStream:
        ticket = self.admission.ticket(address)
        asked = StreamRequest(last_event_id, address, ticket, nullcontext, view, tenure)
        return self.streams.fan_out(asked, client)

    def end(self) -> None:
        """All its streams."""
        self.streams.end("over")
        self.streams.cut()
        self.streams._fanout.signal.set()
        until(lambda: not self.streams._fanout.running, "the end of the fanout")


class MovingClient:
    """A client's end, which stays the same wherever its stream goes."""

    def __init__(
        self,
        worker: MovingWorker,
        last_event_id: str | None = None,
        *,
        view: View = ALL,
        chunked: bool = True,
        tenure: Tenure = UNBOUNDED,
        address: str = "",
        buffer_bytes: int = 0,
    ) -> None:
        served, self.socket = socket.socketpair()
        plain = PlainSocket(served.family, served.type, served.proto, fileno=served.detach())
        plain.setblocking(False)
        self.socket.setblocking(False)
        self.view = view
        self.received = b""  # as it came
        self._parser = Parser()
        self._decoder = Decoder() if chunked else None
        self.ids: list[int] = []
        self.events: list[str] = []
        owned = OwnedSocket(plain, chunked=chunked)
        if buffer_bytes:
            owned.bound_buffer = lambda: plain.setsockopt(  # type: ignore[method-assign]
                socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes
            )
        self.stream = worker.open(owned, last_event_id, view, tenure, address)

    def read(self, limit: int = 1 << 20) -> None:
        """What has come, at most so many bytes."""
        while limit:
            try:
                new = self.socket.recv(min(limit, 65536))
            except BlockingIOError:
                return
            if not new:
                return
            limit -= len(new)
            self._take(new)

    def _take(self, new: bytes) -> None:
        self.received += new
        body = self._decoder.decode(new) if self._decoder else new
        self._parser.feed(body)
        for event in self._parser.events:
            self.events.append(event.type)
            if event.type == "message":
                self.ids.append(int(event.json["id"]))
        self._parser.events.clear()

    def at_end(self) -> bool:
        """Whether the connection has ended."""
        self.read()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False


class Decoder:
    """Of the chunked coding, strictly (RFC 9112, 7.1): what is none of it fails."""

    def __init__(self) -> None:
        self._left = b""
        self._lacks = 0  # bytes of the chunk, with its end
        self.ended = False

    def decode(self, new: bytes) -> bytes:
        """The body in these bytes."""
        data, body = self._left + new, b""
        while data:
            assert not self.ended, f"{data!r} after the end"
            if not self._lacks:
                head, found, rest = data.partition(b"\r\n")
                if not found:
                    assert len(data) < 10
                    break
                assert head == b"%x" % int(head, 16), head
                data, self._lacks = rest, int(head, 16) + 2
                self.ended = self._lacks == 2
                continue
            piece = data[: self._lacks]
            if len(piece) == self._lacks or len(piece) == self._lacks - 1:
                body_part = piece[: self._lacks - 2]
                if len(piece) == self._lacks:
                    assert piece.endswith(b"\r\n"), piece[-4:]
                    body += body_part
                    data, self._lacks = data[len(piece) :], 0
                    continue
                body += body_part
                data, self._lacks = data[len(body_part) :], 2
                break
            body += piece
            data, self._lacks = b"", self._lacks - len(piece)
        self._left = data
        return body


def move(
    giver: MovingWorker, taker: MovingWorker, most: int = 1000, *, settles: bool = True
) -> list[Luggage]:
    """Move what can be moved, as the protocol does: packed, by a copy of the descriptor."""
    giver.streams.loosen()
    if settles:
        until(lambda: giver.streams.settled, "that all have stopped")
    taken = giver.streams.take_out(most)
    packed = msgspec.msgpack.encode([luggage for _, luggage in taken])
    copies = [copy_of(stream.client) for stream, _ in taken]
    giver.streams.gone([stream for stream, _ in taken])
    luggage = msgspec.msgpack.decode(packed, type=list[Luggage])
    for one, copy in zip(luggage, copies, strict=True):
        taker.streams.adopt(copy, one)
    return luggage


def copy_of(client: OwnedSocket) -> socket.socket:
    """The same connection by another descriptor."""
    held = client._socket
    copy: socket.socket = PlainSocket(
        held.family, held.type, held.proto, fileno=os.dup(held.fileno())
    )
    return copy


def worker_of(table: SimulatedTable, **changes: object) -> MovingWorker:
    """One that has polled."""
    worker = MovingWorker(table, **changes)  # type: ignore[arg-type]
    worker.poll_until_quiet()
    return worker


def end(workers: Iterable[MovingWorker], clients: Iterable[MovingClient]) -> None:
    """All of a test."""
    for worker in workers:
        worker.end()
    for client in clients:
        client.socket.close()
