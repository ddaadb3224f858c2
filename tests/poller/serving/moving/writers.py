"""Streams of numbered frames, for tests of how they move: whoever has one writes without a pause.

A frame is a number and a line feed. Each client's end sees from the numbers whether one was lost,
came twice or was cut, and so whether there were ever two writers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import gevent
import msgspec

from poller.access.admission import Admission
from poller.serving.luggage import Unfit
from poller.serving.moving import taker
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.stock import Shelf, Stock

FEED, FORM = "numbers", "text"
WRITE_EVERY_S = 0.001


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The luggage of such a stream: the number of the next frame."""

    next: int


class NumberedStream:
    def __init__(self, client: Any, position: int = 0) -> None:
        self.client, self.next = client, position

    def write(self) -> None:
        self.client.send(b"%d\n" % self.next)
        self.next += 1


class Numbers:
    """As `Streams`, with `at(point)` called before and after each of its methods."""

    form = FORM

    def __init__(
        self,
        clients: Iterable[Any] = (),
        at: Callable[[str], None] = lambda _: None,
        unfit: Sequence[int] = (),
    ) -> None:
        self.writing = {NumberedStream(client): None for client in clients}
        self.taken_out: dict[NumberedStream, None] = {}
        self.settled = True
        self.loose = False
        self._at, self._unfit = at, unfit
        self._adopted = 0

    def __len__(self) -> int:
        return len(self.writing) + len(self.taken_out)

    @property
    def on_sockets(self) -> int:
        return len(self)

    def write(self) -> None:
        """Until the process ends, or the greenlet is killed."""
        while True:
            for stream in [*self.writing]:
                with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    stream.write()
            gevent.sleep(WRITE_EVERY_S)

    def loosen(self) -> None:
        self.loose = True

    def take_out(self, most: int) -> list[tuple[NumberedStream, Position]]:
        self._at("before take_out")
        chosen = [*self.writing][:most]
        for stream in chosen:
            del self.writing[stream]
            self.taken_out[stream] = None
        self._at("after take_out")
        return [(stream, Position(stream.next)) for stream in chosen]

    def put_back(self, streams: Sequence[NumberedStream]) -> None:
        self._at("before put_back")
        self.loose = False
        for stream in streams:
            del self.taken_out[stream]
            self.writing[stream] = None
            stream.write()  # what came meanwhile
        self._at("after put_back")

    def gone(self, streams: Sequence[NumberedStream]) -> None:
        self._at("before gone")
        for stream in streams:
            del self.taken_out[stream]
            stream.client.close()
        self._at("after gone")

    def adopt(self, client: Any, luggage: Position) -> None:
        self._adopted += 1
        self._at(f"before adopt {self._adopted}")
        if self._adopted in self._unfit:
            raise Unfit("a column is gone")
        client.setblocking(False)
        stream = NumberedStream(client, luggage.next)
        self.writing[stream] = None
        stream.write()
        self._at(f"after adopt {self._adopted}")


class Application:
    """A service with that one feed."""

    url_prefix = ""
    draining = False
    ready = True

    def __init__(self, numbers: Numbers, room: int = 1_000) -> None:
        self.admission = Admission(room, per_address=0)
        self.numbers = numbers

    def shelves(self) -> dict[str, Shelf]:
        return {FEED: Shelf("numbers", self.numbers)}  # type: ignore[arg-type]


def stock_of(application: Application, ending: Callable[[], bool] = lambda: False) -> Stock:
    return Stock(lambda: [application], ending)


class Worker:
    """One that takes, in this process."""

    def __init__(self, marks: Marks, age: int, numbers: Numbers, room: int = 1_000) -> None:
        self.name = Name(1, age)
        self.ending = False
        self.application = Application(numbers, room)
        self.numbers = numbers
        self.stock = stock_of(self.application, lambda: self.ending)
        self.taker = taker.Taker(marks, self.name, self.stock, Position)


def frames(data: bytes) -> list[int]:
    """The numbers of whole frames; a cut one is no number and fails."""
    assert not data or data.endswith(b"\n"), f"cut: {data[-20:]!r}"
    return [int(one) for one in data.split(b"\n")[:-1]]


def pair() -> tuple[socket.socket, socket.socket]:
    """The worker's end and the client's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs
