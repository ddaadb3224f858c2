"""The poller: reads the table every N seconds and appends what is new to the log.

It knows neither Flask nor SQL nor sockets: a `Source` reads, an `EventLog` takes. It is the only
writer of the log, and the only one who moves the worker's cursor.

`poll()` is one pass and returns how long to wait; `run()` calls it for ever. The loop never dies
and never gives up: there is one catch, at its edge.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import gevent
from gevent.event import Event

from poller.delivery.event_log import Entry, EventLog
from poller.ids.cursor import MAX_ID, Cursor, Range, ranges_of
from poller.ids.gaps import Gaps, Judge
from poller.polling.identity import Newest
from poller.polling.report import GapReport
from poller.reading.fence import Evidence, Fence
from poller.runtime import metrics
from poller.runtime.hub import give_turn
from poller.runtime.log import tell
from poller.runtime.settings import Settings
from poller.wire import row, sse
from poller.wire.row import Row

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
# Encoding a full batch at once would hold the hub for milliseconds, and longer with gaps open.
ROWS_BETWEEN_YIELDS = 100

HISTORY_CHANGED = "history-changed"
IDS_RESTARTED = "ids-restarted"


class History(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def epoch(self) -> str: ...


class Opening(Protocol):
    @property
    def history(self) -> History: ...
    @property
    def cursor(self) -> Cursor: ...
    @property
    def floor(self) -> int: ...


class Reading(Protocol):
    @property
    def history(self) -> History: ...
    @property
    def counter(self) -> int | None: ...
    @property
    def rows(self) -> list[Row]: ...


class Source(Protocol):
    """Where rows come from; `poller.reading.source.Source` is the one there is."""

    @property
    def fence(self) -> Fence: ...
    @property
    def lacking(self) -> int: ...
    def open(self) -> Opening: ...
    def describe(self) -> History: ...
    def read(self, cursor: Cursor, limit: int, *, look: bool) -> tuple[Evidence, Reading]: ...
    def page(self, ranges: Sequence[Range], limit: int) -> list[Row]: ...


class Poller:
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
        self.name = name
        self.problem: Exception | None = None
        self.last_poll_at: float | None = None
        self._source = source
        self._log = event_log
        self._settings = settings
        self._listening = listening
        self._clock = clock
        self._cursor: Cursor | None = None
        self._gaps = Gaps()
        self._report = GapReport(name, tell)
        self._history: History | None = None
        self._newest = Newest()
        self._reset_reason = ""
        self._failures = 0
        self._woken = Event()
        self._stopped = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    # -- one pass ---------------------------------------------------------------------------

    def poll(self) -> float:
        """One pass over the table. Returns the seconds to wait before the next.

        Raises what the source raises; nothing is lost by it, the next pass reads the same again.
        """
        started = self._clock()
        cursor = self._cursor or self._open()
        if self._failures and self._is_another(self._source.describe()):
            return self._reset(HISTORY_CHANGED)
        look = bool(self._gaps.all)
        evidence, reading = self._source.read(cursor, self._settings.batch_rows, look=look)
        if self._is_another(reading.history):
            return self._reset(HISTORY_CHANGED)
        if reading.counter is not None and max(0, reading.counter) < cursor.position:
            return self._reset(IDS_RESTARTED)
        full = len(reading.rows) >= self._settings.batch_rows
        self._advance(cursor, evidence, reading.rows, full=full)
        if not full:
            self._log.passed(reading.counter)
        self._observe(started)
        return 0.0 if full else self.interval_s

    @property
    def interval_s(self) -> float:
        """Seconds between two polls, now."""
        interval = self._settings.poll_interval_s
        return interval if self._listening() else max(interval, self._settings.idle_interval_s)

    def _open(self) -> Cursor:
        opening = self._source.open()
        self._cursor, self._history = opening.cursor, opening.history
        self._newest = Newest()
        self._gaps = Gaps.at_start(
            opening.cursor.gaps, opening.floor, self._judge(None), self._clock()
        )
        self._log.begin(opening.history.epoch, opening.cursor, self._reset_reason, opening.floor)
        return opening.cursor

    def _judge(self, evidence: Evidence | None) -> Judge:
        fence = self._source.fence
        return lambda gap, witness: fence.judge(gap, witness, evidence)

    def _is_another(self, seen: History) -> bool:
        """Whether `seen` is not the history that is being streamed.

        In the same place, only the table may have been altered. Then it has another name from here
        on, and ids under the old one stay valid.
        """
        if seen == self._history:
            return False
        seen = self._source.describe()
        if self._history is None or seen.place != self._history.place or self._made_anew():
            return True
        self._history = seen
        self._log.rename(seen.epoch)
        return False

    def _made_anew(self) -> bool:
        """Whether none of the newest rows is there any more. Where none was read that could tell,
        the worse is believed of a table that had any."""
        if not self._newest:
            return self._log.cursor.position > 0
        return not self._newest.any_there(self._source.page)

    def _reset(self, reason: str) -> float:
        """Begin again with the table as it is now; every stream will be told.

        At once, but not twice in a row without a pause.
        """
        tell("warning", "reset", feed=self.name, reason=reason)
        self._cursor, self._reset_reason = None, reason
        return 0.0 if self._log.ready else self.interval_s

    def _advance(self, cursor: Cursor, evidence: Evidence, rows: list[Row], *, full: bool) -> None:
        """Append the rows and retire the gaps that this pass proved dead.

        A read cut off by its limit proves nothing beyond its last row.
        """
        covered = rows[-1].id if full else MAX_ID
        reached = cursor.retire(ranges_of(new.id for new in rows))
        now = self._clock()
        gaps, dead = self._gaps.after_pass(reached.gaps, covered, self._judge(evidence), now)
        late = sum(new.id < cursor.position for new in rows)
        entries: list[Entry] = []
        passed = 0
        named = cursor.nameable()
        for count, new in enumerate(rows, start=1):
            # The dead are retired as the rows pass them: no id then needs a gap for them.
            while passed < len(dead) and dead[passed][1] < new.id:
                cursor = cursor.retire(dead[passed : passed + 1])
                named = named.retire(dead[passed : passed + 1])
                passed += 1
            cursor, named = cursor.add(new.id), named.add(new.id)
            entries.append(self._entry(new, cursor, named))
            if count % max(1, ROWS_BETWEEN_YIELDS // len(cursor.holes)) == 0:
                give_turn()
        cursor = cursor.retire(dead[passed:])
        # From here to the end nothing yields: cursor, gaps and log change together.
        self._cursor, self._gaps = cursor, gaps
        self._newest.extend(rows)
        self._log.extend(entries, cursor, floor=gaps.floor.high if gaps.floor else 0)
        self._report.after_pass(gaps, len(dead), late, self._source.fence.holders, now)

    def _entry(self, new: Row, cursor: Cursor, named: Cursor) -> Entry:
        """`named` is `cursor`, or what of it a token can say."""
        body, readable = row.body(new)
        if not readable:
            metrics.rows_unreadable.labels(self.name).inc()
            tell("warning", "row unreadable", feed=self.name, id=new.id, reason=new.problem)
        head = sse.id_line(sse.format_event_id(self._log.epoch, named))
        self._observe_lag(new)
        return Entry(new.id, cursor, head + body, len(head))

    # -- the loop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Poll in a greenlet of its own. Starting a started poller does nothing."""
        if self._greenlet is None:
            self._stopped.clear()
            self._greenlet = gevent.spawn(self.run)

    def stop(self) -> None:
        """End after the query under way: a greenlet killed inside one would spoil its connection.

        Stopping a stopped poller, or one that never started, does nothing.
        """
        greenlet, self._greenlet = self._greenlet, None
        self._stopped.set()
        self._woken.set()
        if greenlet is not None:
            greenlet.join()

    @property
    def started(self) -> bool:
        return self._greenlet is not None

    def wake(self) -> None:
        """Poll now: a row was just inserted here, or the first stream opened."""
        self._woken.set()

    def run(self) -> None:
        """Poll until stopped."""
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                delay_s = self.poll()
                self._recovered()
            except Exception as error:  # noqa: BLE001 - the loop's one edge
                # While the database is away only the backoff sets the pace, not those who wake.
                self._stopped.wait(self._failed(error))
                continue
            self._woken.wait(delay_s)

    def _failed(self, error: Exception) -> float:
        """Note it, log the first of a row, and return the seconds to wait before the next try."""
        if not self._failures:
            kind, detail = type(error).__name__, str(error)
            tell("error", "poll failed", feed=self.name, error=kind, detail=detail)
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._failures, 16))
        self._failures += 1
        self._gaps = self._gaps.afresh()
        self.problem = error
        metrics.poll_failures.labels(self.name).inc()
        return float(longest * random.uniform(0.5, 1.0))

    def _recovered(self) -> None:
        if self._failures:
            tell("info", "poll recovered", feed=self.name, failures=self._failures)
        self._failures, self.problem = 0, None
        self.last_poll_at = self._clock()

    # -- what is measured -------------------------------------------------------------------

    def _observe(self, started: float) -> None:
        metrics.polls.labels(self.name).inc()
        metrics.poll_seconds.labels(self.name).observe(self._clock() - started)
        metrics.degraded.labels(self.name).set(self._source.lacking)
        metrics.log_rows.labels(self.name).set(self._log.head - self._log.oldest)
        metrics.log_bytes.labels(self.name).set(self._log.size_bytes)

    def _observe_lag(self, new: Row) -> None:
        metrics.rows_encoded.labels(self.name).inc()
        created = (new.columns or {}).get("created_at")
        if self._log.ready and isinstance(created, datetime):
            since = created if created.tzinfo else created.replace(tzinfo=UTC)
            lag_s = (datetime.now(UTC) - since).total_seconds()
            metrics.lag_seconds.labels(self.name).observe(max(0.0, lag_s))
