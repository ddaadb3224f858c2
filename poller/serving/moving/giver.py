"""Gives streams of one feed to another worker, a batch at a time.

What is relied on: see `protocol.py`, "three messages, one writer". Here is the giver's half: after
`take_out()` nobody here writes to the streams; then either `go` was sent, and they are `gone()`, or
it was not, and they are `put_back()`.
"""

from __future__ import annotations

import time

import msgspec

from poller.runtime import log, metrics
from poller.serving.luggage import encoded
from poller.serving.moving.circle import Sibling
from poller.serving.moving.protocol import MOST_STREAMS, Batch, Go, Got, Key, No
from poller.serving.moving.stock import Shelf

ANSWER_S = 1.0  # then the clients have waited long enough: the streams go back
NO_ANSWER = "no answer"


class Giver:
    """`since`: the monotonic moment at which the wish to give them away arose."""

    def __init__(self, since: float) -> None:
        self._since = since
        self.given = 0

    def give(self, to: Sibling, key: Key, shelf: Shelf, most: int) -> int:
        """How many streams were given: at most `most`, and 0 if the other does not take them."""
        most = min(most, MOST_STREAMS, to.room(key))
        taken_out = shelf.streams.take_out(most) if most > 0 else []
        if not taken_out:
            return 0
        streams = [stream for stream, _ in taken_out]
        luggage = [msgspec.Raw(encoded(one)) for _, one in taken_out]
        try:
            agreed = self._agree(to, Batch(key, luggage), [one.client.fileno() for one in streams])
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was given: `Link.say()`
            shelf.streams.put_back(streams)
            to.lost(error)
            self.refused(shelf, NO_ANSWER, error=str(error) or type(error).__name__)
            return 0
        if isinstance(agreed, No):
            shelf.streams.put_back(streams)
            to.refused(key, agreed)
            self.refused(shelf, agreed.reason)
            return 0
        shelf.streams.gone(streams)
        to.has_room(key, agreed.room)
        self._count(to, key, shelf, len(streams))
        return len(streams)

    @staticmethod
    def _agree(to: Sibling, batch: Batch, descriptors: list[int]) -> Got | No:
        """If it raises, `go` was not sent: that is the last thing here."""
        to.link.say(batch, descriptors)
        answer = to.answer(ANSWER_S)
        if isinstance(answer, Got):
            to.link.say(Go())
        return answer

    def _count(self, to: Sibling, key: Key, shelf: Shelf, streams: int) -> None:
        to.given[key] += streams
        self.given += streams
        metrics.streams_handed_over.labels(shelf.label).inc(streams)
        waited_s = time.monotonic() - self._since
        metrics.hand_over_wait_seconds.labels(shelf.label).observe(waited_s)

    @staticmethod
    def refused(shelf: Shelf, reason: str, **more: str) -> None:
        metrics.hand_over_refused.labels(shelf.label, reason).inc()
        log.debug("streams not taken", feed=shelf.label, reason=reason, **more)
