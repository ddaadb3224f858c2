"""Takes streams that other workers give.

What is relied on: see `protocol.py`, "three messages, one writer". Here is the taker's half: until
`go` was read nothing is written, and whatever else happens, the copies are closed.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import gevent
import msgspec
from gevent import monkey

from poller.runtime import log, metrics
from poller.runtime.hub import in_slices
from poller.serving.luggage import Luggage, Unfit
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import Batch, Go, Got, Heard, Hello, Link, No, State, close_all
from poller.serving.moving.stock import Shelf, Stock

LOOK_S = 0.1  # at whether there is something new to tell
BACKLOG = 64
SPARE_DESCRIPTORS = 16  # for a worker that has come to the end of them

PlainSocket = monkey.get_original("socket", "SocketType")  # its methods never switch greenlets


class Taker:
    """Reachable at `marks.socket(name)` from `open()` to `close()`. `luggage` is the class of what
    comes with a stream."""

    def __init__(
        self, marks: Marks, name: Name, stock: Stock, luggage: type[msgspec.Struct] = Luggage
    ) -> None:
        self._marks, self._name, self._stock = marks, name, stock
        self._luggage = msgspec.msgpack.Decoder(luggage)
        self._listener: socket.socket | None = None
        self._watcher: Any = None
        self._serving: set[gevent.Greenlet[..., None]] = set()
        self._taken = Taken()

    def open(self) -> None:
        """One that cannot be reached is given nothing; the log says so."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = self._marks.socket(self._name)
        try:
            listener.setblocking(False)
            # Under another name until it listens: a socket that refuses is taken for a dead one's.
            listener.bind(str(new := path.with_suffix(".new")))
            listener.listen(BACKLOG)
            new.rename(path)
        except OSError as error:
            listener.close()
            log.warning("workers cannot hand over streams", error=str(error))
            return
        self._listener = listener
        self._watcher = gevent.get_hub().loop.io(listener.fileno(), 1)
        self._watch()

    def close(self) -> None:
        """Nobody finds it any more; who is connected is told how it is. Twice does nothing."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._watcher.stop()
            self._watcher.close()
            listener.close()
            self._marks.socket(self._name).unlink(missing_ok=True)

    def _watch(self) -> None:
        if self._listener is not None:
            self._watcher.start(self._accept)

    def _accept(self) -> None:
        """In the hub, where nothing may wait."""
        try:
            while self._listener is not None:
                connected, _ = self._listener.accept()
                self._serving.add(gevent.spawn(self.serve, Link(connected)))
        except BlockingIOError:
            pass
        except OSError:  # no descriptor is left: the loop would tell it again and again
            self._watcher.stop()
            gevent.spawn_later(LOOK_S, self._watch)

    def serve(self, link: Link) -> None:
        """One worker that may give something, until it closes the connection."""
        try:
            if link.peer_uid in (0, os.geteuid()):
                Visit(link, self._stock, self._luggage, self._taken).run()
            else:
                log.warning("a worker of another user is refused", user=link.peer_uid)
        except (EOFError, BrokenPipeError, ConnectionResetError):  # it is gone
            pass
        except Exception as error:  # noqa: BLE001 - that one is not served; the others are
            log.warning("a hand-over was broken off", error=repr(error))
        finally:
            link.close()
            self._serving.discard(gevent.getcurrent())  # of two that end at once the second tells
            if not self._serving:
                self._taken.tell()


class Taken:
    """What was taken since nobody was here to give: one line in the log, whoever gave it."""

    def __init__(self) -> None:
        self.streams, self.not_fit, self.began_at = 0, 0, 0.0

    def begin(self) -> None:
        self.began_at = self.began_at or time.monotonic()

    def tell(self) -> None:
        if self.streams or self.not_fit:
            seconds = round(time.monotonic() - self.began_at, 3)
            log.info("streams taken", streams=self.streams, not_fit=self.not_fit, seconds=seconds)
        self.streams, self.not_fit, self.began_at = 0, 0, 0.0


class Visit:
    """A giver's connection."""

    def __init__(
        self, link: Link, stock: Stock, luggage: msgspec.msgpack.Decoder[Any], taken: Taken
    ) -> None:
        self._link, self._stock, self._luggage, self._taken = link, stock, luggage, taken
        self._said: Hello | None = None

    def run(self) -> None:
        while True:
            if (hello := self._stock.hello()) != self._said:
                self._link.say(hello)
                self._said = hello
            try:
                heard = self._link.hear(LOOK_S)
            except TimeoutError:
                continue
            self._receive(heard)

    def _receive(self, heard: Heard) -> None:
        """Until `go` the copies are closed whatever happens, and after it each is served."""
        batch = heard.message
        if not isinstance(batch, Batch):
            close_all(heard.descriptors)
            raise ConnectionError(f"{type(batch).__name__} instead of a batch")
        try:
            luggage = self._looked_through(batch, heard)
        except Unfit as refusal:
            close_all(heard.descriptors)
            self._link.say(No(str(refusal), self._room_of(batch, heard)))
            return
        except BaseException:
            close_all(heard.descriptors)
            raise
        self._taken.begin()
        with self._stock.promised(batch.feed[0], len(luggage)):
            self._wait_for_go(batch, heard.descriptors)
            self._adopt(batch, [*map(_socket, heard.descriptors)], luggage)

    def _wait_for_go(self, batch: Batch, copies: list[int]) -> None:
        """However long it takes: without it nothing may be written, and nothing is known."""
        try:
            self._link.say(Got(self._stock.room(batch.feed[0])))
            self._hear_go()
        except BaseException:
            close_all(copies)
            raise

    def _hear_go(self) -> None:
        message, descriptors, _ = self._link.hear()
        close_all(descriptors)
        if not isinstance(message, Go):
            raise ConnectionError(f"{type(message).__name__} instead of go")

    def _looked_through(self, batch: Batch, heard: Heard) -> list[Any]:
        """Raises Unfit: nothing of it is taken then."""
        if self._stock.state is not State.READY:
            raise Unfit("not ready")
        if batch.feed not in self._stock.shelves():
            raise Unfit("no such feed")
        if heard.cut_short or len(heard.descriptors) != len(batch.luggage):
            raise Unfit("descriptors")
        if len(batch.luggage) > self._stock.room(batch.feed[0]):
            raise Unfit("full")
        try:
            return [self._luggage.decode(one) for one in batch.luggage]
        except msgspec.MsgspecError as error:
            raise Unfit("luggage") from error

    def _room_of(self, batch: Batch, heard: Heard) -> int:
        if not heard.cut_short:
            return self._stock.room(batch.feed[0])
        # So many the kernel had a place for.
        return max(0, len(heard.descriptors) - SPARE_DESCRIPTORS)

    def _adopt(self, batch: Batch, sockets: list[Any], luggage: list[Any]) -> None:
        """Each is ours, and nobody else's: one that cannot be served is closed."""
        shelf = self._stock.shelves()[batch.feed]
        taken = 0
        for client, one in in_slices(zip(sockets, luggage, strict=True)):
            try:
                shelf.streams.adopt(client, one)
                taken += 1
            except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
                self._lose(shelf, client, error)
        self._taken.streams += taken
        metrics.streams_taken.labels(shelf.label).inc(taken)

    def _lose(self, shelf: Shelf, client: Any, error: Exception) -> None:
        client.close()
        self._taken.not_fit += 1
        reason = str(error) if isinstance(error, Unfit) else "error"
        metrics.hand_over_refused.labels(shelf.label, reason).inc()
        if not isinstance(error, Unfit):
            log.error("a stream could not be taken", feed=shelf.label, exc_info=error)


def _socket(descriptor: int) -> Any:
    """Family and kind are the kernel's to say."""
    return PlainSocket(fileno=descriptor)
