"""A watched table: what is known of it, and the three queries that read it.

    poll        rows after a cursor (above its position or in its gaps), with the table's
                history and its counter, in one statement and so in one snapshot
    page        rows in given ranges of ids, a page at a time: catch-up
    start_below the position from which a poller starts, so that the log is warm

Each is one walk along the key's index. It knows SQL and nothing of streams. Every method takes a
connection and is called where blocking is allowed (`Database.read`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.sql.elements import ColumnElement

from poller import history
from poller.cursor import MAX_ID, Cursor, Range
from poller.row import Row

LISTED_RANGE = 32  # a range of fewer ids is listed id by id
LISTED_IDS = 500  # ids in one list
PARTS_PER_STATEMENT = 16


class TableError(Exception):
    """The table cannot be watched as it is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll saw, in one snapshot. Rows are in id order.

    `counter` is the greatest id that the database ever gave out for the table, or None where it
    does not tell.
    """

    epoch: str
    counter: int | None
    rows: list[Row]


def source_name(source: object) -> str:
    """The name under which a table, a mapped class or a table name is watched."""
    table = getattr(source, "__table__", source)
    return table.name if isinstance(table, sa.Table) else str(table).rpartition(".")[2]


class Table:
    """`source` is a table's name (`"posts"`, `"schema.posts"`), a `sqlalchemy.Table` or a mapped
    class. `key` names the id column where it is not the primary key; `columns` lists what goes to
    the streams, default all that the table had when it was first looked at.
    """

    def __init__(
        self, source: object, *, key: str | None = None, columns: Sequence[str] | None = None
    ) -> None:
        self.source = source
        self.name = source_name(source)
        self._key_name = key
        self._column_names = columns
        self._first_columns: list[str] = []
        self._selected: list[ColumnElement[Any]] = []
        self._names: list[str] = []
        self._key: ColumnElement[int] = sa.column("id", sa.BigInteger)
        self._history = history.UNKNOWN

    def describe(self, connection: Connection) -> None:
        """Look at the table in the database. Raises TableError where it cannot be watched."""
        table = self._reflected(connection)
        key = self._find_key(table)
        self._selected = self._find_columns(connection, table)
        self._names = [column.name for column in self._selected]
        self._key = key
        self._history = history.of(connection, table, key)

    @property
    def notes(self) -> list[str]:
        """What is not promised for this table, in words."""
        return self._history.notes

    # -- queries ----------------------------------------------------------------------------

    def poll(self, connection: Connection, cursor: Cursor, limit: int) -> Reading:
        """At most `limit` rows not in `cursor`, lowest ids first."""
        first, *more = self._rows_in(cursor.holes, limit)
        status = self._history.status.subquery()
        rows = first.subquery()
        # The outer join yields the status also where there is no row: one statement a poll.
        statement = (
            sa.select(*status.c, *rows.c)
            .select_from(status.outerjoin(rows, sa.true()))
            .order_by(rows.c[self._key.name])
        )
        try:
            told = connection.execute(statement).all()
            found = [row[2:] for row in told if row[2] is not None]
            for statement in more:
                found += connection.execute(statement).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            return self._poll_around(connection, cursor, limit, error)
        epoch, counter = told[0][:2]
        return Reading(
            self._history.epoch(epoch), _as_int(counter), self._lowest(map(self._row, found), limit)
        )

    def page(self, connection: Connection, ranges: Sequence[Range], limit: int) -> list[Row]:
        """At most `limit` rows whose ids are in `ranges`, lowest first."""
        found: list[Any] = []
        try:
            for statement in self._rows_in(ranges, limit):
                found += connection.execute(statement).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            return self._one_by_one(connection, ranges, limit, error)
        return self._lowest(map(self._row, found), limit)

    def start_below(self, connection: Connection, rows: int) -> int:
        """The position with `rows` rows above it, or 0 where the table has no more than that."""
        newest = sa.select(self._key).order_by(self._key.desc()).offset(rows).limit(1)
        return max(0, connection.scalar(newest) or 0)

    def epoch(self, connection: Connection) -> str:
        """A short name for this history of the table. Another one means: start again."""
        return self._history.epoch(connection.execute(self._history.status).one()[0])

    def _rows_in(self, ranges: Sequence[Range], limit: int) -> list[sa.Select[Any]]:
        """Statements that bring the rows in `ranges`, each at most `limit`, the lowest first.

        One statement unless the ranges are very many. It is the union of parts that are each one
        walk along the index, whatever a planner thinks of many ORs.
        """
        parts = [
            sa.select(self._key, *self._selected).where(within).order_by(self._key).limit(limit)
            for within in self._parts(ranges)
        ]
        if len(parts) == 1:
            return parts
        statements = []
        for at in range(0, len(parts), PARTS_PER_STATEMENT):
            each = [sa.select(part.subquery()) for part in parts[at : at + PARTS_PER_STATEMENT]]
            rows = sa.union_all(*each).subquery()
            statements.append(sa.select(*rows.c).order_by(rows.c[self._key.name]).limit(limit))
        return statements

    def _parts(self, ranges: Sequence[Range]) -> Iterator[ColumnElement[bool]]:
        """Conditions that together say "in `ranges`": lists of ids, and ranges too long to list."""
        listed: list[int] = []
        for low, high in ranges:
            if high - low < LISTED_RANGE:
                listed += range(low, high + 1)
            else:
                # A key of 2^63 - 1 cannot be followed by another; it is never read.
                yield self._key.between(low, min(high, MAX_ID - 1))
        for at in range(0, len(listed), LISTED_IDS):
            yield self._key.in_(listed[at : at + LISTED_IDS])

    @staticmethod
    def _lowest(rows: Iterable[Row], limit: int) -> list[Row]:
        return sorted(rows, key=lambda row: row.id)[:limit]

    # -- rows that cannot be read -----------------------------------------------------------

    def _poll_around(
        self, connection: Connection, cursor: Cursor, limit: int, error: Exception
    ) -> Reading:
        """The same poll where a row makes the driver fail on the whole fetch.

        Not one snapshot, but safe: the status is read first, the ids in one statement that is cut
        off by the same limit, and a row that is gone by the time it is read was deleted.
        """
        self._raise_if_gone(error)
        epoch, counter = connection.execute(self._history.status).one()
        rows = self._one_by_one(connection, cursor.holes, limit, error)
        return Reading(self._history.epoch(epoch), _as_int(counter), rows)

    def _one_by_one(
        self, connection: Connection, ranges: Sequence[Range], limit: int, error: Exception
    ) -> list[Row]:
        self._raise_if_gone(error)
        ids: list[int] = []
        for within in self._parts(ranges):
            some = sa.select(self._key).where(within).order_by(self._key).limit(limit)
            ids += connection.scalars(some).all()
        rows = (self._read_one(connection, row_id) for row_id in sorted(ids)[:limit])
        return [row for row in rows if row is not None]

    def _read_one(self, connection: Connection, row_id: int) -> Row | None:
        """One row, or its placeholder; None where it was deleted meanwhile."""
        by_id = self._key == row_id
        try:
            found = connection.execute(sa.select(self._key, *self._selected).where(by_id)).first()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            self._raise_if_gone(error)
            # The key alone can be read, so it is the row's content; otherwise this raises.
            connection.execute(sa.select(self._key).where(by_id)).first()
            return Row(row_id, None, "the database driver could not read this row")
        return None if found is None else self._row(found)

    @staticmethod
    def _raise_if_gone(error: Exception) -> None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise error

    def _row(self, found: Sequence[Any]) -> Row:
        return Row(int(found[0]), dict(zip(self._names, found[1:], strict=True)))

    # -- looking at the table ---------------------------------------------------------------

    def _reflected(self, connection: Connection) -> sa.Table:
        table = getattr(self.source, "__table__", self.source)
        schema, _, name = str(table).rpartition(".")
        if not isinstance(table, sa.Table):
            try:
                return sa.Table(
                    name, sa.MetaData(), schema=schema or None, autoload_with=connection
                )
            except NoSuchTableError:
                raise TableError(_no_table(table)) from None
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            raise TableError(_no_table(table))
        return table

    def _find_key(self, table: sa.Table) -> sa.Column[Any]:
        if self._key_name is not None:
            if self._key_name not in table.c:
                raise TableError(f"{self.name} has no column {self._key_name}: name an integer key")
            key = table.c[self._key_name]
        elif len(table.primary_key.columns) == 1:
            key = next(iter(table.primary_key.columns))
        else:
            raise TableError(
                f"{self.name} has no primary key of one column: name an integer key with key="
            )
        if not isinstance(key.type, sa.Integer):
            raise TableError(f"{self.name}.{key.name} is no integer: name an integer key with key=")
        return key

    def _columns_of(self, table: sa.Table) -> Sequence[str]:
        """What was asked for, or what the table had when it was first looked at: a column that is
        added later may be nobody's business. One that was dropped is left out."""
        if self._column_names is not None:
            return self._column_names
        if not self._first_columns:
            self._first_columns = [column.name for column in table.columns]
        return [name for name in self._first_columns if name in table.c]

    def _find_columns(self, connection: Connection, table: sa.Table) -> list[ColumnElement[Any]]:
        names = self._columns_of(table)
        missing = [name for name in names if name not in table.c]
        if missing:
            raise TableError(f"{self.name} has no column {missing[0]}")
        columns: list[ColumnElement[Any]] = [table.c[name] for name in names]
        if connection.dialect.name == "sqlite" and not isinstance(self.source, type | sa.Table):
            # SQLite keeps dates as what was written. A reflected type would insist on one form
            # and call every other one unreadable.
            columns = [_as_stored(column) for column in columns]
        return columns


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, sa.Date | sa.DateTime | sa.Time):
        return sa.type_coerce(column, sa.types.NullType()).label(column.name)
    return column


def _no_table(name: object) -> str:
    return f"there is no table {name}; create it, or watch another"


def _as_int(value: Any) -> int | None:
    return None if value is None else int(value)
