"""The poller: reads the table every N seconds and appends what is new to the log.

It knows neither Flask nor SQL nor sockets: a `Source` reads, an `EventLog` takes. It is the only
writer of the log, and alone moves the worker's cursor.

`poll()` is one pass and returns how long to wait; the loop of `runtime/recurring.py` calls it, for
ever: it never dies and never gives up.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

from poller.delivery.changes_log import ChangesLog
from poller.delivery.event_log import EventLog
from poller.ids.cursor import Cursor
from poller.ids.gaps import Gaps, Judge
from poller.ids.named import Named
from poller.ids.ranges import MAX_ID, ranges_of, subtract
from poller.polling.encoding import ChangesEncoder, Encoder
from poller.polling.identity import Identity, TableReader
from poller.polling.report import PollReport
from poller.reading.fence import Evidence, Fence, Pass
from poller.reading.snapshot import Start
from poller.runtime.recurring import Recurring
from poller.runtime.settings import Settings
from poller.wire import notices, row

FLOOR_ASKED_EVERY_S = 1.0


class Source(TableReader, Protocol):
    """Where rows come from: `reading.source.Source`."""

    @property
    def fence(self) -> Fence: ...
    def open(self) -> Start: ...
    def read(self, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool) -> Pass: ...


class Poller(Recurring):
    """Polls one table for one log.

    `listening` says whether any stream is open. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        event_log: EventLog,
        settings: Settings,
        listening: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.name = name
        self.last_poll_at: float | None = None
        self._source = source
        self._log = event_log
        self._settings = settings
        self._listening = listening
        self._clock = clock
        self._report = PollReport(name)
        of_changes = isinstance(event_log, ChangesLog)
        self._encoder = (ChangesEncoder if of_changes else Encoder)(event_log, self._report)
        self._held: Named | None = None  # every id delivered, or known never to appear
        self._floor_asked_at = float("-inf")
        self._gaps = Gaps()
        self._given: int | None = None
        self._identity = Identity(source)
        self._reset_reason = ""
        self._read_s = 0.0  # what the last read took that found all
        self._share = _share()

    # -- one pass ---------------------------------------------------------------------------

    def poll(self) -> float:
        """One pass over the table. Returns the seconds to wait before the next.

        Raises what the source raises; nothing is lost by it, the next pass reads the same again.
        """
        began = self._clock()
        held = self._held or self._open()
        if self._failures and self._identity.is_another(self._source.describe(), held.cursor):
            return self._reset(notices.HISTORY_CHANGED)
        limit = self._settings.batch_rows
        asked = self._clock()
        thorough = isinstance(self._log, ChangesLog) and self._log.begins_pass()
        seen = self._source.read(held.cursor, self._gaps, limit, thorough=thorough)
        reading, read_s = seen.reading, self._clock() - asked
        if reason := self._identity.reset_reason(reading, held.cursor):
            return self._reset(reason)
        self._log.rename(self._identity.name, self._identity.salt)
        full = row.is_cut_off(reading.rows, limit)
        self._advance(held, seen, full=full)
        if not full:
            self._log.passed(reading.counter)
        now = self._clock()
        self._report.polled(now - began, self._log)
        if full:
            return 0.0
        self._report.found_all(read_s, reading.counter, self._log.held.position, now)
        # Reads that take long again and again leave the database alone for as long. One alone, as
        # after a holder of many gaps has ended, does not keep the next rows waiting.
        before_s, self._read_s = self._read_s, read_s
        return max(self.interval_s, min(before_s, read_s))

    @property
    def gaps(self) -> Gaps:
        """Those that are open, as the last pass left them."""
        return self._gaps

    @property
    def interval_s(self) -> float:
        """Seconds between two polls, now."""
        interval = self._settings.poll_interval_s
        return interval if self._listening() else max(interval, self._settings.idle_interval_s)

    def _open(self) -> Named:
        start = self._source.open()
        self._held = held = Named.of(start.cursor)
        self._identity.begin(start.history)
        self._log.key = start.key
        self._given = start.given
        self._gaps = Gaps.at_start(start.cursor.gaps, start.floor, self._judge(None), self._clock())
        history = start.history.epoch
        self._log.begin(history, held, self._reset_reason, start.floor, start.lowest)
        return held

    def _judge(self, evidence: Evidence | None) -> Judge:
        fence = self._source.fence
        return lambda gap, witness: fence.judge(gap, witness, evidence)

    def _reset(self, reason: str) -> float:
        """Begin again with the table as it is now; every stream will be told.

        At once, but not twice in a row without a pause.
        """
        self._report.reset(reason)
        self._held, self._reset_reason = None, reason
        return 0.0 if self._log.ready else self.interval_s

    def _advance(self, held: Named, seen: Pass, *, full: bool) -> None:
        """Append the rows and retire the gaps that this pass proved dead.

        A read cut off by its limit proves nothing beyond its last row. No pass proves anything of
        an id that its look came too early for: one that nobody had taken by then. Where ids
        are told as they are given out, those are above what the pass before was told.
        """
        rows, given = seen.reading.rows, seen.reading.given
        if not rows and not self._gaps.all:  # as nearly always
            self._given = given
            self._log.extend((), held)
            self._report.gaps(self._gaps, 0, 0, self._source.fence.holders, self._clock())
            return
        covered = rows[-1].id if full else MAX_ID
        if given is not None:
            covered = min(covered, self._given or 0)
        found = ranges_of(one.id for one in rows)
        new = subtract(((held.position + 1, found[-1][1]),), found) if found else ()
        judge, now = self._judge(seen.evidence), self._clock()
        gaps, dead = self._gaps.after_pass(found, new, covered, judge, now, seen.unread)
        late = sum(one.id < held.position for one in rows)
        entries, held = self._encoder.encode(rows, held, sorted((*found, *dead)))
        # From here to the end nothing yields: set, gaps and log change together.
        self._held, self._gaps, self._given = held, gaps, given
        self._identity.remember(rows)
        self._log.extend(entries, held, floor=gaps.floor_top)
        if gaps.floor and now - self._floor_asked_at >= FLOOR_ASKED_EVERY_S:
            self._floor_asked_at = now
            self._log.ask_below_floor()
        self._report.gaps(gaps, len(dead), late, self._source.fence.holders, now)

    # -- the loop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Poll in a greenlet of its own. Starting a started poller does nothing."""
        if not self.started:
            self._share = _share()
        super().start()

    def once(self) -> float:
        """One pass. Returns the seconds to wait before the next."""
        delay_s = self.poll()
        self.last_poll_at = self._clock()
        share, self._share = self._share, 1.0 if delay_s else self._share
        return delay_s * share

    def _on_failure(self, error: Exception) -> None:
        """What was seen before a fault proves nothing."""
        self._report.failed(error, first=not self._failures)
        self._gaps = self._gaps.afresh()
        if not self._log.ready:
            self._log.notify()  # a stream that waits is told why

    def _on_recovery(self) -> None:
        self._report.recovered(self._failures)


def _share() -> float:
    """Of the first wait: tables that begin together poll apart."""
    return random.random()
