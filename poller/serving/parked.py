"""The parked streams of a fan-out: they have everything there is for them now.

A parked stream is a socket, a position and a watcher for the client's end, and no greenlet. Nearly
all are *live*: a round gives those of a view the same bytes, and does not touch a view that got
nothing. A few *wait* for something else, such as the first pass.

Invariants:
- Every parked stream is in one slot of the wheel, not later than it needs a heartbeat. When its
  time has come, it may have been sent something since; then it is put into a later slot. So a
  stream is looked at once in a heartbeat's time, however many rows there are.
- What a live stream was sent is counted for its view (`batch_at`), not for each stream.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from poller.delivery.entry import Batch
from poller.delivery.view_index import OpenView
from poller.serving.socket_stream import SocketStream
from poller.serving.wheel import Wheel
from poller.wire import chunked

# The part of the silence over which heartbeats are spread, and in how many ticks: after a batch all
# would be due at once. The last of them is still in time.
HEARTBEAT_SPREAD = 0.1
TICKS_PER_SPREAD = 5


class Audience:
    """The live streams of a view. All that were there at `batch_at` (monotonic) were sent it."""

    __slots__ = ("batch_at", "streams")

    def __init__(self) -> None:
        self.streams: dict[SocketStream, None] = {}
        self.batch_at = 0.0


def to_write(
    batches: list[tuple[Audience, Batch]],
) -> Iterator[tuple[Batch, bytes, SocketStream]]:
    """Each batch with each of its streams, also as an encoded chunk, once for all."""
    for audience, batch in batches:
        coded = chunked.chunk(batch.chunk)
        for stream in [*audience.streams]:
            if stream in audience.streams:  # otherwise it ended in a pause
                yield batch, coded, stream


class Parked:
    """`beat(stream)` sends a heartbeat; it returns whether the stream can stay parked."""

    def __init__(self, heartbeat_s: float, beat: Callable[[SocketStream], bool]) -> None:
        self._beat = beat
        self.audiences: dict[OpenView, Audience] = {}  # none is empty
        self.waiting: dict[SocketStream, None] = {}
        self._spread_s = heartbeat_s * HEARTBEAT_SPREAD
        self.tick_s = self._spread_s / TICKS_PER_SPREAD
        self._silence_s = heartbeat_s - self.tick_s  # a tick may begin just after it was looked at
        self._wheel = Wheel(self.tick_s)

    def __bool__(self) -> bool:
        return bool(self.audiences or self.waiting)

    @property
    def live(self) -> Iterator[SocketStream]:
        """Those of all views. They may change meanwhile."""
        for audience in [*self.audiences.values()]:
            yield from audience.streams.copy()

    def is_live(self, stream: SocketStream) -> bool:
        audience = self.audiences.get(stream.subscriber.view)
        return audience is not None and stream in audience.streams

    def add(self, stream: SocketStream) -> None:
        """Park it; twice does nothing. It may be busy afterwards, if a heartbeat had to wait."""
        if stream.subscriber.is_live:
            self.waiting.pop(stream, None)
            self._audience(stream.subscriber.view).streams[stream] = None
        else:
            self._leave_audience(stream)
            self.waiting[stream] = None
        if stream.slot is None:
            self._arm(stream, time.monotonic())

    def discard(self, stream: SocketStream) -> None:
        """It is no longer parked."""
        self._leave_audience(stream)
        self.waiting.pop(stream, None)
        self._wheel.discard(stream)

    def _audience(self, view: OpenView) -> Audience:
        if (audience := self.audiences.get(view)) is None:
            audience = self.audiences[view] = Audience()
        return audience

    def _leave_audience(self, stream: SocketStream) -> None:
        if self.is_live(stream):
            view = stream.subscriber.view
            audience = self.audiences[view]
            stream.written_at = max(stream.written_at, audience.batch_at)
            del audience.streams[stream]
            if not audience.streams:
                del self.audiences[view]

    # -- heartbeats -------------------------------------------------------------------------

    def due(self, now: float) -> list[SocketStream]:
        """Those that need a heartbeat. They are in no slot until it was sent."""
        silent = []
        for stream in self._wheel.due(now):
            if self.written_at(stream) + self._silence_s - self._spread_s <= now:
                silent.append(stream)
            else:
                self._arm(stream, now)
        return silent

    def send_heartbeat(self, stream: SocketStream, now: float) -> None:
        """If it is still parked, and was not parked again meanwhile."""
        if stream.slot is None and (stream in self.waiting or self.is_live(stream)):
            self._write_heartbeat(stream, now)

    def written_at(self, stream: SocketStream) -> float:
        """When it was sent something last (monotonic, in seconds)."""
        audience = self.audiences.get(stream.subscriber.view)
        if audience is None or stream not in audience.streams:
            return stream.written_at
        return max(stream.written_at, audience.batch_at)

    def _arm(self, stream: SocketStream, now: float) -> None:
        """Into a slot in time. One that is late for it, which was busy for long, or is again and
        again (while rows come that it has, a client ahead of its worker is), is sent it now."""
        needed_at = self.written_at(stream) + self._silence_s
        if needed_at <= now:
            self._write_heartbeat(stream, now)
        else:
            self._wheel.put(stream, needed_at - random.uniform(0, self._spread_s))

    def _write_heartbeat(self, stream: SocketStream, now: float) -> None:
        stream.written_at = now  # one object for all of a tick
        if self._beat(stream):
            self._arm(stream, now)
