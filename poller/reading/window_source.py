"""What a feed by window looks at: a query's newest rows, through `Database`.

It decides nothing of what is told to clients. Most rows come in one statement. Those with a large
value, and those that the driver cannot read, are read by themselves from the same window; if one
has left it by then, it is not in the look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.database import Database, raise_if_away
from poller.reading.description import TableError
from poller.reading.look import Look, Raw
from poller.reading.row_versions import folded
from poller.reading.sqlite_gate import Gate
from poller.reading.values import Value
from poller.reading.volatile import Volatile
from poller.reading.window_query import LIMIT, Asked, Query, WindowDescriber
from poller.runtime.settings import Settings
from poller.wire.row import KeyedRow

NOT_READ = "the database driver could not read it"
GROUP_BYTES = 4 * 2**20  # of rows that are read by themselves, at once


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
            return _tuples(connection.execute(query.statement, {LIMIT: self._rows}))

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
            rows = _tuples(connection.execute(query.statement, {LIMIT: self._rows}))
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
        found = _tuples(connection.execute(keys, {LIMIT: self._rows}))
        apart = Apart(connection, query, self._rows, self._most_bytes)
        read = apart.rows([raw if len(raw) > 1 else raw[0] for raw in found])
        return _without_gone(query, found, dict(enumerate(read)))


class Apart:
    """Reads rows of a window by their keys, over one connection.

    `most_bytes` bounds what they may hold together.
    """

    def __init__(self, connection: Connection, query: Query, rows: int, most_bytes: int) -> None:
        self._connection = connection
        self._query = query
        self._rows = rows
        self._left_bytes = most_bytes
        columns = query.columns
        self._at_once = max(1, GROUP_BYTES // (columns.max_bytes * (columns.sized or 1)))

    def rows(self, keys: Sequence[Any]) -> list[KeyedRow | None]:
        """In the same order; None for one that has left the window."""
        found: dict[Any, KeyedRow] = {}
        for at in range(0, len(keys), self._at_once):
            some = self._found(keys[at : at + self._at_once])
            self._left_bytes -= sum(map(_size, some.values()))
            if self._left_bytes < 0:
                raise TableError(
                    "the rows of the window hold more than ROWCAST_LOG_BYTES: make it smaller "
                    "(window=), or leave large columns out (columns=)"
                )
            found |= some
        return [found.get(key) for key in keys]

    def _found(self, keys: Sequence[Any]) -> dict[Any, KeyedRow]:
        found = self._read(keys, self._query.columns.values)
        if found is not None:
            return found
        if len(keys) == 1:
            return self._readable_part(keys[0])
        half = len(keys) // 2
        return self._found(keys[:half]) | self._found(keys[half:])

    def _readable_part(self, key: Any) -> dict[Any, KeyedRow]:
        query = self._query
        readable = [one for one in query.columns.values if self._read([key], [one]) is not None]
        unread = {one.name: NOT_READ for one in query.columns.values if one not in readable}
        found = self._read([key], readable, unread)
        return {} if found is None else found

    def _read(
        self, keys: Sequence[Any], values: Sequence[Value], unread: Mapping[str, str] | None = None
    ) -> dict[Any, KeyedRow] | None:
        """The rows, as far as `values` go; None if the driver fails on one of them."""
        query, of_key = self._query, self._query.values(self._query.key)
        window = query.window.select(
            [
                *(value.read.label(f"rowcast_key_{at}") for at, value in enumerate(of_key)),
                *(
                    one.label(f"rowcast_value_{at}")
                    for at, one in enumerate(query.columns.whole(values))
                ),
            ]
        ).subquery()
        key_columns = [window.c[f"rowcast_key_{at}"] for at in range(len(of_key))]
        statement = sa.select(window).where(sa.or_(*(_is(key_columns, key) for key in keys)))
        try:
            found = _tuples(self._connection.execute(statement, {LIMIT: self._rows}))
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            return None
        width = len(of_key)
        return {
            raw[:width] if width > 1 else raw[0]: self._row(raw, width, values, unread or {})
            for raw in found
        }

    def _row(
        self, raw: Raw, width: int, values: Sequence[Value], unread: Mapping[str, str]
    ) -> KeyedRow:
        read = self._query.columns.whole_row((0, *raw[width:]), values, unread)
        key = dict(
            zip((one.name for one in self._query.values(self._query.key)), raw, strict=False)
        )
        return KeyedRow(0, read.columns, withheld=read.withheld, key=key)


def _is(columns: Sequence[Any], key: Any) -> Any:
    values = key if len(columns) > 1 else (key,)
    return sa.and_(*(column == value for column, value in zip(columns, values, strict=True)))


def _without_gone(query: Query, rows: Sequence[Raw], apart: Mapping[int, KeyedRow | None]) -> Look:
    there = [at for at in range(len(rows)) if apart.get(at, True) is not None]
    kept = {new: apart[old] for new, old in enumerate(there) if old in apart}
    return Look(query, [rows[at] for at in there], {at: one for at, one in kept.items() if one})


def _tuples(found: Any) -> list[Raw]:
    return [*map(tuple, found)]


def _size(row: KeyedRow) -> int:
    values = (row.columns or {}).values()
    return sum(len(value) for value in values if isinstance(value, str | bytes))
