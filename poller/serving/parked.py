"""The parked streams of a fan-out: they have everything there is for them now.

A parked stream is a socket, a position and a watcher for the client's end, and no greenlet. Nearly
all are *live*: a round gives them the same bytes. A few *wait* for something else, such as the
first pass.

Invariant: the live ones are in the order of `written_at`, and all of them were sent the batch of
`batch_at`. So those that need a heartbeat are always the first ones, and no timer is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice, takewhile

from poller.serving.socket_stream import SocketStream

# The part of the silence over which heartbeats are spread, and in how many ticks: after a batch all
# would be due at once. The last of them is still in time.
HEARTBEAT_SPREAD = 0.1
TICKS_PER_SPREAD = 5


class Parked:
    """`beat(stream)` sends a heartbeat; it returns whether the stream can stay parked."""

    def __init__(self, heartbeat_s: float, beat: Callable[[SocketStream], bool]) -> None:
        self._beat = beat
        self.live: dict[SocketStream, None] = {}  # in the order of `written_at`
        self.waiting: set[SocketStream] = set()
        self.batch_at = 0.0  # monotonic
        spread_s = heartbeat_s * HEARTBEAT_SPREAD
        self.tick_s = spread_s / TICKS_PER_SPREAD
        self._silence_s = heartbeat_s - spread_s - self.tick_s

    def __bool__(self) -> bool:
        return bool(self.live or self.waiting)

    def add(self, stream: SocketStream) -> None:
        """Park it; twice does nothing. It may be busy afterwards, if a heartbeat had to wait."""
        if not stream.subscriber.is_live:
            self.discard(stream)
            self.waiting.add(stream)
            # While rows come that it has, a client ahead of its worker is busy again and again.
            if time.monotonic() - stream.written_at > self._silence_s:
                self._write_heartbeat(stream)
        elif stream not in self.live:
            self.waiting.discard(stream)
            # It becomes the last in the order of `written_at`, so it must not be silent for long.
            late = time.monotonic() - stream.written_at > self.tick_s
            if not late or self._write_heartbeat(stream):
                self.live[stream] = None

    def discard(self, stream: SocketStream) -> None:
        """It is no longer parked."""
        if stream in self.live:
            del self.live[stream]
            stream.written_at = max(stream.written_at, self.batch_at)
        self.waiting.discard(stream)

    # -- heartbeats -------------------------------------------------------------------------

    def due(self, now: float) -> list[SocketStream]:
        """Those that need a heartbeat; of the live ones a share at each tick, the longest silent
        first."""
        moment = now - self._silence_s
        silent = [stream for stream in self.waiting if stream.written_at <= moment]
        if self.batch_at <= moment:
            share = -(-len(self.live) // TICKS_PER_SPREAD)
            first = islice(self.live, share)
            silent += takewhile(lambda stream: stream.written_at <= moment, first)
        return silent

    def send_heartbeat(self, stream: SocketStream) -> None:
        """If it is still parked; a live one is the last in the order then."""
        if stream in self.live:
            del self.live[stream]
            if self._write_heartbeat(stream):
                self.live[stream] = None
        elif stream in self.waiting:
            self._write_heartbeat(stream)

    def _write_heartbeat(self, stream: SocketStream) -> bool:
        stream.written_at = time.monotonic()
        return self._beat(stream)
