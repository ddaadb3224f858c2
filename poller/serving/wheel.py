"""A wheel of slots, one a tick: when to look at a stream again, because it may have been silent for
long. A stream is in one slot, and is moved only when that is due: what it is sent moves nothing.
"""

from __future__ import annotations

from poller.serving.socket_stream import SocketStream


class Wheel:
    """Times are monotonic, in seconds."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        # A list has 8 bytes for a stream. To take one out, which is rare, it is searched.
        self._slots: dict[int, list[SocketStream]] = {}

    def put(self, stream: SocketStream, at_s: float) -> None:
        """It must not be in a slot. It is due in the tick of `at_s`."""
        tick = int(at_s / self._tick_s)
        if (slot := self._slots.get(tick)) is None:
            slot = self._slots[tick] = []
        slot.append(stream)
        stream.slot = slot

    def discard(self, stream: SocketStream) -> None:
        if stream.slot is not None:
            stream.slot.remove(stream)
            stream.slot = None

    def due(self, now_s: float) -> list[SocketStream]:
        """Those whose tick has come. They are in no slot then."""
        last = int(now_s / self._tick_s)
        found: list[SocketStream] = []
        for tick in [tick for tick in self._slots if tick <= last]:
            found += self._slots.pop(tick)
        for stream in found:
            stream.slot = None
        return found
