"""A watched table as the poller and the streams read it: `Table` and `Fence`, through `Database`.

It decides nothing. What it reads in one pass is in the order that the fence needs: the holders
first, then the rows, each statement with its own snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from poller.ids.cursor import Cursor
from poller.ids.gaps import NOBODY, Gaps
from poller.ids.ranges import Range, above
from poller.reading.ahead import Ahead
from poller.reading.database import Database
from poller.reading.dialects.facts import outlying
from poller.reading.fence import Fence, FenceVoid, HolderFence, HoldersSeen, Pass
from poller.reading.narrowing import EVERYTHING, Narrowed
from poller.reading.snapshot import Found, History, Start
from poller.reading.table import Table
from poller.reading.unwritten import Seen, Stamp, seen_after, stamp_of
from poller.runtime import log, metrics
from poller.runtime.settings import Settings


class Source:
    """Methods wait for the database and block nobody but the calling greenlet.

    `feed` is the name in the log, default the table's. All raise what `Database.read` raises;
    `open()` also TableError.
    """

    def __init__(
        self,
        table: Table,
        database: Database,
        settings: Settings,
        prepare: Callable[[Database], None] | None = None,
        feed: str = "",
    ) -> None:
        self.table = table
        self._feed = feed or table.name
        self._database = database
        self._history_rows = settings.history_rows
        self._prepare = prepare
        self._told: list[str] = []
        self._said_limits = False
        self._ahead = Ahead()
        self._seen: Seen | None = None

    @property
    def fence(self) -> Fence:
        """That of the table as it was last looked at; nothing is judged before the first look."""
        return self.table.facts.fence

    def open(self) -> Start:
        """Look at the table, perhaps again, and say where to start."""
        if self._prepare is not None:
            self._prepare(self._database)
            self._prepare = None
        if self.table.described:
            # Another history was met: an open SQLite connection would go on reading a swapped
            # file, and any other the server that was a primary until now.
            self._database.dispose()
        self._ahead, self._seen = Ahead(), None  # they were of the history before
        start = self._database.read(self._open, polling=True)
        self._tell_exceptions()
        return replace(start, key=self.table.description.row_key)

    def read(self, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool = False) -> Pass:
        """One pass. `gaps` are the cursor's; only while there are any the fence is asked, and says
        which of them to read. `thorough`: all of them, and whatever lies ahead."""

        ahead, self._ahead = self._ahead.beyond(cursor.position), Ahead()  # unknown after a fault
        seen_before, self._seen = self._seen, None
        if thorough:
            ahead, gaps, seen_before = Ahead(), gaps.afresh(), None

        def work(connection: Connection) -> Pass:
            stamp = None if gaps.all or ahead.gaps.open else self._stamp(connection)
            if stamp and seen_before and (reading := seen_before.again(stamp, cursor)):
                self._seen = seen_before
                return Pass(None, NOBODY, reading)
            seen, self._ahead = self._pass(connection, cursor, gaps, ahead, limit)
            self._seen = seen_after(stamp, cursor, seen.reading, limit)
            return seen

        try:
            seen = self._database.read(work, polling=True)
        except FenceVoid as reason:
            log.warning("fence void", feed=self._feed, reason=str(reason))
            self.describe()
            return self._database.read(
                lambda c: self._without_fence(c, cursor, limit), polling=True
            )

        if outlying(seen.reading.counter, seen.reading.given) != self.table.facts.outlying:
            self.describe()  # so that it is said, or said no more
        return seen

    def _stamp(self, connection: Connection) -> Stamp | None:
        """Asked before anything else: see unwritten.py."""
        facts = self.table.facts
        return stamp_of(connection, facts.file) if facts.in_file else None

    def _pass(
        self, connection: Connection, cursor: Cursor, gaps: Gaps, ahead: Ahead, limit: int
    ) -> tuple[Pass, Ahead]:
        fence, evidence = self.fence, None
        # The order is the safety argument: see fence.py.
        if gaps.all or ahead.gaps.open:
            evidence = fence.look(connection, cursor.gaps)
        unread, passed_over = (
            some.unchanged(lambda witness: fence.must_read(witness, evidence))
            for some in (gaps, ahead.gaps)
        )
        asked = cursor.with_gaps(gaps.ranges(but=unread)) if unread else cursor
        reading = self.table.poll(connection, ahead.asked(asked, passed_over), limit)
        if isinstance(evidence, HoldersSeen) and reading.counter is not None:
            evidence.counted(reading.counter)
        seen = Pass(evidence, unread, reading)
        if not (isinstance(fence, HolderFence) and fence.keys_last):
            return seen, Ahead()
        judge = partial(fence.judge, evidence=evidence)
        return seen, ahead.after(reading, cursor.position, limit, judge, passed_over)

    def _without_fence(self, connection: Connection, cursor: Cursor, limit: int) -> Pass:
        return Pass(None, NOBODY, self.table.poll(connection, cursor, limit))

    def describe(self) -> History:
        """Look at the table again, as after a failure; its history."""
        self._seen = None

        def work(connection: Connection) -> History:
            self.table.describe(connection)
            return self.table.history(connection)

        history = self._database.read(work, polling=True)
        self._tell_exceptions()
        return history

    def page(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Narrowed = EVERYTHING,
    ) -> Found:
        """Rows with ids in `ranges`, lowest first, as `Table.page()` has them. Holds a connection
        only for this one query."""
        return self._database.read(
            lambda connection: self.table.page(connection, ranges, limit, narrowed)
        )

    def _open(self, connection: Connection) -> Start:
        self.table.describe(connection)
        # The history first: should the table be recreated in between, the next poll sees it.
        status = self.table.status(connection)
        history, given = status.history, status.given
        start = self.table.start_below(connection, self._history_rows)
        # After the start is known, and before the gaps are: an id below the start was taken before
        # it, so that if nobody holds one now, each is committed, and seen from here on, or dead.
        lowest = start or self.table.lowest(connection)
        idle = not start or self.fence.idle(self.fence.look(connection, ()))
        if idle and (given is None or given >= start):
            return Start(history, Cursor.at(start), given=given, lowest=lowest)
        gaps, floor = self.table.gaps_below(connection, start)
        if idle and given is not None:  # but for those that the sequence has yet to give out
            gaps, floor = [*above(gaps, given)], floor if floor > given else 0
        return Start(history, Cursor.at(start, gaps), floor, given, lowest)

    def _tell_exceptions(self) -> None:
        """Say what is not promised: once in the log, and before any row is sent."""
        exceptions = [str(finding) for finding in self.table.facts.exceptions]
        metrics.degraded.labels(self._feed).set(len(exceptions))
        if exceptions != self._told:
            self._told = exceptions
            for note in exceptions:
                log.warning("degraded", feed=self._feed, fence=self.fence.name, note=note)
        if not self._said_limits:
            self._said_limits = True
            limits = self.table.facts.limits
            metrics.limits.labels(self._feed).set(len(limits))
            if limits:
                log.info("limits", feed=self._feed, count=len(limits), named_by="rowcast doctor")
            for note in limits:
                log.debug("limit", feed=self._feed, note=note)
