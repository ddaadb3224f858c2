"""A wheel of slots, one a tick: when to look at a stream again, because it may have been silent for
long. A stream is in one slot, and is moved only when that is due: what it is sent moves nothing.
"""

from __future__ import annotations

from poller.serving.socket_stream import SocketStream

NOWHERE = 0


class Wheel:
    """Times are monotonic, in seconds."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._slots: dict[int, dict[SocketStream, None]] = {}

    def put(self, stream: SocketStream, at_s: float) -> None:
        """It must not be in a slot. It is due in the tick of `at_s`."""
        stream.slot = max(NOWHERE + 1, int(at_s / self._tick_s))
        if (slot := self._slots.get(stream.slot)) is None:
            slot = self._slots[stream.slot] = {}
        slot[stream] = None

    def discard(self, stream: SocketStream) -> None:
        if stream.slot != NOWHERE:
            del self._slots[stream.slot][stream]
            stream.slot = NOWHERE

    def due(self, now_s: float) -> list[SocketStream]:
        """Those whose tick has come. They are in no slot then."""
        tick = int(now_s / self._tick_s)
        found: list[SocketStream] = []
        for slot in [slot for slot in self._slots if slot <= tick]:
            found += self._slots.pop(slot)
        for stream in found:
            stream.slot = NOWHERE
        return found
