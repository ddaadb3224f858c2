"""A client's socket that is ours to write to and to close, and the body of the response on it.

It does not block. Nothing here knows streams.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event

from poller.serving.client import LOOKS_PER_DEADLINE, ClientSocket
from poller.wire import chunked, sse
from poller.wire.unsent import Unsent, unsent

WRITABLE = 2  # the loop's flag for a watcher of room for output
CODED_ELSEWHERE = -1  # what another process left: no more than the rest of a frame


class OwnedSocket(ClientSocket):
    """One whose response is ours to write.

    `head` is that of the response, if it was not sent yet: it goes out with the first bytes of the
    body, in one packet. `chunked`: it announces that coding, as it does to a client of HTTP/1.1.
    `moved` is given for a stream of another process: so many bytes the body then owes to a chunk
    that was begun there, see `wire/chunked.py`. `whole`: what is to be written next is coded as for
    any other stream, with nothing before it.
    """

    __slots__ = ("_before", "_due", "_head", "_waits", "chunked", "owed", "whole")
    _socket: socket.socket

    def __init__(
        self,
        client: socket.socket,
        *,
        chunked: bool = False,
        head: bytes = b"",
        moved: int | None = None,
    ) -> None:
        super().__init__(client)
        self.chunked = chunked
        self._head = head
        self.owed = moved or 0  # after what was coded last
        # What that began with: so many bytes of a head, and so many that were owed.
        self._before = 0
        self._due = 0 if moved is None else CODED_ELSEWHERE
        self.whole = moved is None and not head
        self._waits: Event | None = None

    # -- the body ---------------------------------------------------------------------------

    def coded(self, data: bytes) -> bytes:
        """`data` as this response's body has it. It has to be sent, for a head is told once."""
        if not data:
            return data
        if self.whole:
            return chunked.chunk(data) if self.chunked else data
        self._due, self.owed = self.owed, max(0, self.owed - len(data))
        head, self._head, self._before = self._head, b"", len(self._head)
        self.whole = not (head or self._due)
        return head + (chunked.filled(self._due, data) if self.chunked else data)

    def last(self, data: bytes) -> bytes:
        """`data` as the end of the body: a client can tell it from a cut. A chunk that has begun is
        filled with comments."""
        lacks = max(0, self.owed - len(data))
        filling = sse.HEARTBEAT * -(-lacks // len(sse.HEARTBEAT))
        coded = self.coded(filling + data) or self._head
        return coded + (chunked.LAST_CHUNK if self.chunked else b"")

    def unsent(self, rest: bytes | memoryview) -> Unsent:
        """What is left to send if the stream stops at `rest`, the end of what was coded last."""
        if not rest or self._due == CODED_ELSEWHERE:
            return Unsent(bytes(rest), self.owed)
        coded: Any = memoryview(rest).obj
        head, body = coded[: self._before], coded[self._before :]
        sent = len(coded) - len(rest)
        owed_before = self._due if self.chunked else None
        left = unsent(body, max(0, sent - len(head)), owed_before, self.owed)
        return left._replace(rest=head[sent:] + left.rest)

    # -- the socket -------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor, to be sent to another process."""
        return self._socket.fileno()

    def send(self, data: bytes | memoryview) -> int:
        """Give the kernel what it takes of `data` now, and return how much that is. Raises OSError
        if the client is gone."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def send_all(
        self,
        data: bytes | memoryview,
        deadline_s: float,
        stops: Callable[[memoryview], bool] = lambda _: False,
    ) -> memoryview:
        """Send it, waiting for the client, until that is all or it `stops(rest)`, which is asked
        before each wait. Returns the rest. Raises TimeoutError if the client takes nothing for
        `deadline_s` (noticed at the next look), another OSError if it is gone."""
        rest = memoryview(data)[self.send(data) :]
        while rest and not stops(rest):
            self._wait_writable(deadline_s)
            rest = rest[self.send(rest) :]
        return rest

    def wake(self) -> None:
        """Let a `send_all()` that waits go on, as if the client had taken something."""
        if self._waits is not None:
            self._waits.set()

    def _wait_writable(self, deadline_s: float) -> None:
        """A slow client takes bytes long before the kernel calls its buffer writable again."""
        unsent, since = self.unsent_bytes(), time.monotonic()
        self._waits = Event()
        watcher = gevent.get_hub().loop.io(self._socket.fileno(), WRITABLE)
        watcher.start(self._waits.set)
        try:
            while not self._waits.wait(deadline_s / LOOKS_PER_DEADLINE):
                if (left := self.unsent_bytes()) != unsent:
                    unsent, since = left, time.monotonic()
                elif time.monotonic() - since >= deadline_s:
                    raise TimeoutError
        finally:
            self._waits = None
            watcher.stop()
            watcher.close()

    def leave(self) -> None:
        """Close this copy of a socket of which another process has one: nothing is shut down.

        The kernel takes a descriptor out of an epoll set with the last copy only, and libev does
        not take it out at all. So it is done here: else the set would keep it while the client
        stays.
        """
        self.unwatch()
        loop = gevent.get_hub().loop
        if loop.backend == "epoll":
            epoll = monkey.get_original("select", "epoll")  # gevent's patch takes it away
            with contextlib.suppress(OSError):  # it was not in there
                epoll.fromfd(os.dup(loop.fileno() or -1)).unregister(self._socket.fileno())
        self._socket.close()

    def close(self) -> None:
        """Give the descriptor back. No greenlet may be waiting for it."""
        self.unwatch()
        self._socket.close()
