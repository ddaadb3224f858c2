"""The streams of a fan-out that are out: on their way to another process, or just come from one.

Invariants:
- A stream belongs to exactly one of parked, busy and out. Only in out may it be packed, and while
  it is out nobody here writes to its socket, watches it or shuts it down: from some moment on the
  other process may, and there is one connection for both.
- It is still counted. What ends it meanwhile is kept until it is back, and means nothing once it is
  gone: what holds for the other process too, such as the end of its time, travels with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from poller.serving.busy import Busy, Rest
from poller.serving.parked import Parked
from poller.serving.socket_stream import SocketStream


class Transit:
    """`serve(stream, rest)` takes one that is back, and first writes that; `release(stream)` closes
    one that has ended."""

    def __init__(
        self,
        parked: Parked,
        busy: Busy,
        serve: Callable[[SocketStream, Rest], None],
        release: Callable[[SocketStream], None],
    ) -> None:
        self._parked = parked
        self._busy = busy
        self._serve = serve
        self._release = release
        self._out: dict[SocketStream, Rest] = {}  # with what is left of its current chunk

    def __len__(self) -> int:
        return len(self._out)

    @property
    def ready(self) -> Iterator[tuple[SocketStream, Rest]]:
        """The streams to which nobody writes now, with what is left of their current chunk. They
        may change meanwhile."""
        yield from [*self._busy.stopped.items()]
        for stream in (*self._parked.waiting, *self._parked.live):
            yield stream, b""

    def take(self, stream: SocketStream) -> None:
        """Take one of these out."""
        self._parked.discard(stream)
        stream.client.unwatch()
        self.bring(stream, self._busy.give_up(stream))

    def bring(self, stream: SocketStream, rest: Rest) -> None:
        """One that is out already: it has come from another process."""
        stream.out = True
        self._out[stream] = rest

    def put_back(self, stream: SocketStream) -> None:
        """It goes on here, and is sent what came meanwhile; or it ends, if it was to."""
        rest = self._out.pop(stream)
        stream.out = False
        if rest or not stream.closed_because:
            self._serve(stream, rest)
        if stream.closed_because:
            self._release(stream)

    def gone(self, stream: SocketStream) -> None:
        """The other process has it: close this copy, which the connection survives."""
        del self._out[stream]
        stream.client.leave()
