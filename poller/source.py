"""A watched table as the poller and the streams read it: `Table` and `Fence`, through `Database`.

It decides nothing. What it reads in one pass is in the order that the fence needs: the holders
first, then the rows, each statement with its own snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from poller.cursor import Cursor, Range
from poller.database import Database
from poller.fence import Evidence, Fence, fence_for
from poller.row import Row
from poller.settings import Settings
from poller.table import Reading, Table

log = structlog.get_logger("rowcast")


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a poller starts: the history's name, and `history_rows` below the newest row."""

    epoch: str
    cursor: Cursor


class Source:
    """Methods wait for the database and block nobody but the calling greenlet.

    All raise what `Database.read` raises; `open()` also TableError.
    """

    def __init__(
        self,
        table: Table,
        database: Database,
        settings: Settings,
        prepare: Callable[[Database], None] | None = None,
    ) -> None:
        self.table = table
        self.fence: Fence = fence_for(database.dialect, settings.gap_grace_s, time.monotonic)
        self._database = database
        self._history_rows = settings.history_rows
        self._prepare = prepare
        self._told: tuple[str, ...] = ()

    def open(self) -> Opening:
        """Look at the table (anew), and say where to start."""
        if self._prepare is not None:
            self._prepare(self._database)
            self._prepare = None
        self._database.dispose()  # an open SQLite connection would go on reading a swapped file
        opening = self._database.read(self._open)
        self._tell()
        return opening

    def read(self, cursor: Cursor, limit: int) -> tuple[Evidence, Reading]:
        """One pass. The fence is asked only while gaps are open."""

        def work(connection: Connection) -> tuple[Evidence, Reading]:
            # The order is the safety argument: see fence.py.
            evidence = self.fence.look(connection) if cursor.gaps else None
            return evidence, self.table.poll(connection, cursor, limit)

        return self._database.read(work)

    def describe(self) -> str:
        """Look at the table again after a failure; the name of its history."""

        def work(connection: Connection) -> str:
            self.table.describe(connection)
            return self.table.epoch(connection)

        return self._database.read(work)

    def page(self, ranges: Sequence[Range], limit: int) -> list[Row]:
        """Rows with ids in `ranges`, lowest first. Holds a connection only for this one query."""
        return self._database.read(lambda connection: self.table.page(connection, ranges, limit))

    def _open(self, connection: Connection) -> Opening:
        self.table.describe(connection)
        # The epoch first: should the table be made anew in between, the next poll sees it.
        epoch = self.table.epoch(connection)
        return Opening(epoch, Cursor.at(self.table.start_below(connection, self._history_rows)))

    def _tell(self) -> None:
        """Say once at start what is not promised."""
        notes = (*self.table.notes, *filter(None, [self.fence.degraded]))
        if notes != self._told:
            self._told = notes
            for note in notes:
                log.warning("degraded", table=self.table.name, fence=self.fence.name, note=note)
