"""What a feed by window looks at: a query's newest rows, through `Database`.

It decides nothing of what is told to clients. Most rows come in one statement. Those with a large
value, and those that the driver cannot read, are read by themselves from the same window; if one
has left it by then, it is not in the look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from poller.reading.database import Database, raise_if_away
from poller.reading.description import TableError
from poller.reading.dialects.facts import Finding
from poller.reading.windows.apart import Apart, tuples
from poller.reading.windows.findings import findings_of
from poller.reading.windows.look import Look, Raw
from poller.reading.windows.query import LIMIT, Asked, Query, WindowDescriber
from poller.reading.windows.row_versions import folded
from poller.reading.windows.sqlite_gate import Gate
from poller.reading.windows.volatile import Volatile
from poller.runtime.settings import Settings
from poller.wire.row import KeyedRow


class WindowSource:
    """Methods wait for the database and block nobody but the calling greenlet. They raise what
    `Database.read` raises, and TableError for a query that cannot be followed.

    `rows` is how many are read: the window and its slack.
    """

    def __init__(
        self,
        asked: Asked,
        database: Database,
        settings: Settings,
        rows: int,
        prepare: Callable[[Database], None] | None = None,
    ) -> None:
        self._describer = WindowDescriber(asked, settings.max_value_bytes)
        self._database = database
        self._rows = rows
        self._most_bytes = settings.log_capacity_bytes
        self._prepare = prepare
        self._gate = Gate(database)
        self._query: Query | None = None
        self._volatile: Volatile | None = None
        self.findings: Sequence[Finding] = ()  # of the last time that it was described
        self.asked = asked

    @property
    def query(self) -> Query:
        """What was found at the last look. Raises TableError before the first one."""
        if self._query is None:
            raise TableError(f"{self.asked.name} has not been looked at yet")
        return self._query

    @property
    def described(self) -> bool:
        """Whether it was looked at."""
        return self._query is not None

    def look(self) -> Look | None:
        """The newest rows; None if nothing was written since the last look."""
        if self._prepare is not None:
            self._prepare(self._database)
            self._prepare = None
        if self._gate.file_was_swapped():
            self._database.dispose()  # an open connection would go on reading the old one
            self._query = None
        try:
            return self._database.read(self._look, polling=True)
        except Exception:
            # What the query was may have changed: it is described again.
            self._query = None
            self._gate.forget()
            raise

    def _look(self, connection: Connection) -> Look | None:
        if self._query is None:
            self._query = query = self._describer.query(connection)
            self.findings = findings_of(connection, query, self.asked.name)
            self._gate.forget()
            if self._volatile is None and query.derived:
                self._volatile = Volatile(connection.dialect.name, query.names, query.skip)
        query = self._query
        # Before the rows: what is written after it is seen by the next look.
        written = self._gate.written(connection)
        if query.versions is not None:
            versions, definition = connection.execute(query.versions, {LIMIT: self._rows}).one()
            written = versions, definition
        if not query.derived and written is not None and not self._gate.moved(written):
            return None
        look = self._read(connection, query)
        if self._volatile is not None and not self._volatile.settled:
            self._check_volatile(connection, query, look.rows, written)
        if query.versions is not None:
            written = None if look.apart else (folded(look.rows), definition)
        self._gate.passed(written)
        return look

    def _check_volatile(
        self, connection: Connection, query: Query, rows: Sequence[Raw], written: object
    ) -> None:
        assert self._volatile is not None  # noqa: S101 - for the type checker

        def again() -> Sequence[Raw]:
            return tuples(connection.execute(query.statement, {LIMIT: self._rows}))

        if found := self._volatile.found(connection, rows, query.key_of, again, written):
            columns, one = ", ".join(found), len(found) == 1
            raise TableError(
                f"{self.asked.name}: {columns} {'differs' if one else 'differ'} at each look "
                "though nothing was written (the time, a random number, an aggregate without ORDER "
                "BY?), so nobody could tell what a client holds; leave "
                f"{'it' if one else 'them'} out"
            )

    # -- rows ---------------------------------------------------------------------------------

    def _read(self, connection: Connection, query: Query) -> Look:
        try:
            rows = tuples(connection.execute(query.statement, {LIMIT: self._rows}))
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            return self._one_by_one(connection, query)
        self._check_nulls(query, rows)
        large = [at for at, raw in enumerate(rows) if query.columns.is_large(raw)]
        if not large:
            return Look(query, rows)
        apart = Apart(connection, query, self._rows, self._most_bytes)
        read = apart.rows([query.key_of(rows[at]) for at in large])
        return _without_gone(query, rows, dict(zip(large, read, strict=True)))

    def _check_nulls(self, query: Query, rows: Sequence[Raw]) -> None:
        if query.skip and query.versions is None and any(raw[0] for raw in rows):
            raise TableError(
                f"{self.asked.name}: there are rows with NULL in a column by which they are "
                "ordered, and databases do not agree where such rows come: say nulls last"
            )

    def _one_by_one(self, connection: Connection, query: Query) -> Look:
        """If a row makes the driver fail on the whole fetch. Raises if it is the statement."""
        connection.execute(query.statement, {LIMIT: 0})
        keys = query.window.select([value.read for value in query.values(query.key)])
        found = tuples(connection.execute(keys, {LIMIT: self._rows}))
        apart = Apart(connection, query, self._rows, self._most_bytes)
        read = apart.rows([raw if len(raw) > 1 else raw[0] for raw in found])
        return _without_gone(query, found, dict(enumerate(read)))


def _without_gone(query: Query, rows: Sequence[Raw], apart: Mapping[int, KeyedRow | None]) -> Look:
    there = [at for at in range(len(rows)) if apart.get(at, True) is not None]
    kept = {new: apart[old] for new, old in enumerate(there) if old in apart}
    return Look(query, [rows[at] for at in there], {at: one for at, one in kept.items() if one})
