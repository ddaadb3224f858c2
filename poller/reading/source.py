"""A watched table as the poller and the streams read it: `Table` and `Fence`, through `Database`.

It decides nothing. What it reads in one pass is in the order that the fence needs: the holders
first, then the rows, each statement with its own snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from poller.ids.cursor import Cursor, Range
from poller.reading.database import Database
from poller.reading.dialects import History
from poller.reading.fence import Evidence, Fence, FenceVoid
from poller.reading.table import Reading, Table
from poller.runtime.log import tell
from poller.runtime.settings import Settings
from poller.wire.row import Row


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a poller starts: the table's history, and `history_rows` below the newest row.

    The cursor's gaps, and all ids up to `floor`, may still fill.
    """

    history: History
    cursor: Cursor
    floor: int = 0


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
        self._database = database
        self._history_rows = settings.history_rows
        self._prepare = prepare
        self._told: list[str] = []

    @property
    def fence(self) -> Fence:
        """That of the table as it was last looked at; nothing is judged before the first look."""
        return self.table.known.fence

    @property
    def lacking(self) -> int:
        """How many reasons there are why the whole promise cannot be kept."""
        return len(self.table.known.lacking)

    def open(self) -> Opening:
        """Look at the table (anew), and say where to start."""
        if self._prepare is not None:
            self._prepare(self._database)
            self._prepare = None
        self._database.dispose()  # an open SQLite connection would go on reading a swapped file
        opening = self._database.read(self._open)
        self._tell()
        return opening

    def read(self, cursor: Cursor, limit: int, *, look: bool) -> tuple[Evidence, Reading]:
        """One pass. The fence is asked only while gaps are open: where `look` says so."""

        def work(connection: Connection) -> tuple[Evidence, Reading]:
            # The order is the safety argument: see fence.py.
            evidence = self.fence.look(connection, cursor.gaps) if look else None
            return evidence, self.table.poll(connection, cursor, limit)

        try:
            return self._database.read(work)
        except FenceVoid as reason:
            tell("warning", "fence void", table=self.table.name, reason=str(reason))
            self.describe()
            return self.read(cursor, limit, look=False)

    def describe(self) -> History:
        """Look at the table again, as after a failure; its history."""

        def work(connection: Connection) -> History:
            self.table.describe(connection)
            return self.table.history(connection)

        history = self._database.read(work)
        self._tell()
        return history

    def page(self, ranges: Sequence[Range], limit: int) -> list[Row]:
        """Rows with ids in `ranges`, lowest first. Holds a connection only for this one query."""
        return self._database.read(lambda connection: self.table.page(connection, ranges, limit))

    def _open(self, connection: Connection) -> Opening:
        self.table.describe(connection)
        # The history first: should the table be made anew in between, the next poll sees it.
        history = self.table.history(connection)
        start = self.table.start_below(connection, self._history_rows)
        # After the start is known, and before the gaps are: an id below the start was taken before
        # it, so that where nobody holds one now, each is committed, and seen from here on, or dead.
        if not start or self.fence.idle(self.fence.look(connection, ())):
            return Opening(history, Cursor.at(start))
        gaps, floor = self.table.gaps_below(connection, start)
        return Opening(history, Cursor.at(start, gaps), floor)

    def _tell(self) -> None:
        """Say what is not promised, once."""
        lacking = [str(finding) for finding in self.table.known.lacking]
        if lacking != self._told:
            self._told = lacking
            for note in lacking:
                tell("warning", "degraded", table=self.table.name, fence=self.fence.name, note=note)
