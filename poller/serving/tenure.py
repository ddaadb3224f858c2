"""How long streams may stay: until their time is over, or until their tag is disconnected.

A stream that an application authorised ends after a while and comes back by itself, so that the
application is asked again: what it once allowed does not hold for ever. Streams of a public feed
have neither an end nor a tag, and are not held here.

Ends are in slots of a second, and one greenlet for all goes from slot to slot: a stream costs a
place in two sets, and ends at most a second late.

*A stream that was authorised before its tag was disconnected, and opens after it, ends as well.*
Between the two lie the application's own hooks and the server's greenlets, on this worker or
another one. So a stream brings the moment at which its application was asked, and the moment of
each disconnect is kept for `REMEMBERED_S`. A request that took longer than that to open is not
believed at all. What was asked after the disconnect, the application has answered knowing of it.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import gevent

from poller.runtime import log
from poller.runtime.hub import in_slices
from poller.wire import sse

TICK_S = 1.0
REMEMBERED_S = 60.0
# The client keeps it only until it is back: a stream begins by telling the usual one.
RETRY_MS = (100, 500)
# A client that takes its bytes slowly has this long for the end in good order.
CUT_AFTER_S = 0.5

LIFETIME = "lifetime"
DISCONNECTED = "disconnected"


class Ends(Protocol):
    """A stream, as far as it is ended here."""

    def end(self, reason: str, farewell: bytes | None = None) -> None: ...
    def cut(self) -> None: ...


class Tenure(NamedTuple):
    """What an application granted to one stream. Moments are monotonic, in seconds.

    `until` is the end, if there is one; `tag` names whose stream it is; `asked_at` is from before
    the application was asked.
    """

    until: float | None = None
    tag: str = ""
    asked_at: float = 0.0

    def vouched(self, now: float) -> Tenure:
        """The same in another process, to which its stream moves now: here it was not disconnected.

        The other process may have heard of a disconnect a little sooner or later than this one. So
        it looks at those of the time just before, if the application was not asked since.
        """
        return self._replace(asked_at=max(self.asked_at, now - REMEMBERED_S / 2))


UNBOUNDED = Tenure()


class Tenures:
    """The streams of one feed that have an end or a tag."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._slots: defaultdict[int, set[Ends]] = defaultdict(set)
        self._tags: defaultdict[str, set[Ends]] = defaultdict(set)
        self._held: dict[Ends, tuple[int | None, str]] = {}
        self._disconnected: dict[str, float] = {}  # in the order of the moments
        self._next_slot = 0
        self._running = False

    def __len__(self) -> int:
        return len(self._held)

    def begin(self, stream: Ends, tenure: Tenure) -> None:
        """Hold it until `over()`. It may end at once."""
        until, tag, asked_at = tenure
        if until is None and not tag:
            return
        slot = None if until is None else self._slot(until)
        if slot is not None:
            self._slots[slot].add(stream)
        if tag:
            self._tags[tag].add(stream)
        self._held[stream] = slot, tag
        if tag and self._was_disconnected(tag, asked_at):
            self._end(stream, DISCONNECTED)

    def over(self, stream: Ends) -> None:
        """It has ended. A second call, and one for a stream that is not held, does nothing."""
        slot, tag = self._held.pop(stream, (None, ""))
        if slot is not None:
            _discard(self._slots, slot, stream)
        if tag:
            _discard(self._tags, tag, stream)

    def disconnect(self, tag: str) -> None:
        """End all streams of the tag now; those that do not end by themselves are cut."""
        self._remember(tag)
        if ending := [*self._tags.get(tag, ())]:
            for stream in ending:
                self._end(stream, DISCONNECTED)
            gevent.spawn_later(CUT_AFTER_S, self._cut, ending)

    def _cut(self, streams: Iterable[Ends]) -> None:
        for stream in streams:
            if stream in self._held:
                stream.cut()

    # -- the end of the time ----------------------------------------------------------------

    def _slot(self, until: float) -> int:
        if not self._running:
            self._running = True
            self._next_slot = int(time.monotonic() / TICK_S)
            gevent.spawn(self._run)
        return max(self._next_slot, int(until / TICK_S))

    def _run(self) -> None:
        while self._slots:
            gevent.sleep(TICK_S - time.monotonic() % TICK_S)
            due: list[Ends] = []
            while self._next_slot < int(time.monotonic() / TICK_S):
                due += self._slots.pop(self._next_slot, ())
                self._next_slot += 1
            for stream in in_slices(due):
                self._end(stream, LIFETIME)
        # Nothing yields between the last look and here.
        self._running = False

    def _end(self, stream: Ends, reason: str) -> None:
        try:
            stream.end(reason, sse.retry_line(random.randint(*RETRY_MS)))
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            log.error("stream failed to end", feed=self._feed, reason=reason, exc_info=error)

    # -- what was disconnected --------------------------------------------------------------

    def _remember(self, tag: str) -> None:
        now = time.monotonic()
        self._disconnected.pop(tag, None)  # or it would keep its old place in the order
        self._disconnected[tag] = now
        while self._disconnected[oldest := next(iter(self._disconnected))] < now - REMEMBERED_S:
            del self._disconnected[oldest]

    def _was_disconnected(self, tag: str, asked_at: float) -> bool:
        since = self._disconnected.get(tag, float("-inf"))
        return since >= asked_at or asked_at < time.monotonic() - REMEMBERED_S


def _discard(sets: dict[int, set[Ends]] | dict[str, set[Ends]], key: int | str, one: Ends) -> None:
    """Out of its set, and the set with its last one."""
    if (among := sets.get(key)) is not None:  # type: ignore[arg-type]
        among.discard(one)
        if not among:
            del sets[key]  # type: ignore[arg-type]
