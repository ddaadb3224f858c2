"""The looker: looks at a query's answer again and again, and appends to the log what is different.

It knows neither Flask nor SQL nor sockets: a `Source` looks, a `WindowLog` takes. Looks fall on
whole multiples of the interval by the wall clock, so that all workers see the same states, and a
client that hops finds its own in the next worker's log. Where clocks differ, that only costs bytes.
Looks that a hint hastens fall on whole multiples of a short time, for the same reason: workers that
are told of a flood of changes would each look at a moment of its own.

It looks only while somebody listens, but for the first time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from poller.reading.windows.look import Look
from poller.runtime import log, metrics
from poller.runtime.recurring import WOKEN_EVERY_S, Recurring
from poller.runtime.settings import Settings
from poller.window.encoding import Encoder
from poller.window.log import WindowLog
from poller.window.token import epoch_of

# A client that says it holds what no ring has waits for a look: not longer than this, however
# seldom the feed looks otherwise.
LONGEST_WAIT_S = 1.0


class Source(Protocol):
    """What is looked at: `reading.windows.source.WindowSource`."""

    def look(self) -> Look | None:
        """The newest rows, the slack included; None if they cannot differ from the last look's."""


class Looker(Recurring):
    """That of one feed. `listening` says whether anybody listens. `clock` is monotonic, `wall` the
    time of day, both in seconds. `secret` is for the digests, asked once there are rows."""

    def __init__(
        self,
        name: str,
        source: Source,
        window_log: WindowLog,
        size: int,
        settings: Settings,
        listening: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        secret: Callable[[], bytes] = bytes,
    ) -> None:
        super().__init__()
        self.name = name
        self.last_poll_at: float | None = None
        self.interval_s = settings.window_interval_s
        self._source = source
        self._log = window_log
        window_log.wanted = self.wake
        self._encoder = Encoder(name, size, secret)
        self._listening = listening
        self._clock = clock
        self._wall = wall
        self._due_at = 0.0  # by the clock
        self._hinted = False  # since the last look began

    def poll(self) -> float:
        """One look. Returns the seconds until the next one, were somebody listening.

        Raises what the source raises, and TableError for an answer that cannot be followed; nothing
        is lost by it.
        """
        began = self._clock()
        number = self._log.look_begins()
        look = self._source.look()
        if look is None:
            self._log.take_look(number, self._log.picture, ())
        else:
            self._take(number, look)
        self.last_poll_at = self._clock()
        self._report(self.last_poll_at - began)
        return self._until_next()

    def _take(self, number: int, look: Look) -> None:
        """From the picture on nothing yields: picture and log change together."""
        key, before = look.shape.key, self._log.picture
        epoch = epoch_of(self.name, key)
        picture = self._encoder.picture(look)
        if epoch != self._log.epoch:
            self._log.begin(epoch, key, number, picture)
        elif picture is before:
            self._log.take_look(number, picture, ())
        else:
            self._log.take_look(number, picture, [*before.changes_to(picture)])

    def _until_next(self) -> float:
        """To the next whole multiple of the interval, by the wall clock."""
        return self.interval_s - self._wall() % self.interval_s

    # -- the loop ---------------------------------------------------------------------------

    def wake(self) -> None:
        """Look now, or at the next of the short times that all workers have."""
        self._hinted = True
        super().wake()

    def _rest_s(self, began: float, ended: float) -> float:
        rest_s = max(0.0, super()._rest_s(began, ended))
        return rest_s + WOKEN_EVERY_S - (self._wall() + rest_s) % WOKEN_EVERY_S

    def once(self) -> float | None:
        """A look, if it is due, hinted at, or a client waits for one; if nobody listens, none until
        one does.

        Clients that come back all at once wait for the same look.
        """
        if not self._listening() and self.last_poll_at is not None and not self._failures:
            self._log.resting, self._due_at = True, 0.0
            return None
        early_s = self._due_at - self._clock()
        if early_s <= 0 or self._hinted or self._log.awaited:
            self._hinted = False  # before the look: a hint during it leads to one more
            early_s = self.poll()
            self._due_at = self._clock() + early_s
        return min(early_s, LONGEST_WAIT_S)

    def _on_failure(self, error: Exception) -> None:
        metrics.poll_failures.labels(self.name).inc()
        if not self._failures:
            kind, detail = type(error).__name__, str(error)
            log.error("look failed", feed=self.name, error=kind, detail=detail)
        if not self._log.ready:
            self._log.notify()  # a stream that waits is told why

    def _on_recovery(self) -> None:
        log.info("look recovered", feed=self.name, failures=self._failures)

    def _report(self, seconds: float) -> None:
        metrics.polls.labels(self.name).inc()
        metrics.poll_seconds.labels(self.name).observe(seconds)
        metrics.log_rows.labels(self.name).set(self._log.head - self._log.oldest)
        metrics.log_bytes.labels(self.name).set(self._log.size_bytes)
