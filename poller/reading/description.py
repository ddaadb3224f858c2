"""What a watched table looks like in the database: its key, and the columns that streams get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.database import is_refused
from poller.wire.row import Row


class TableError(Exception):
    """The table cannot be watched as it is; the text says what to do."""


def source_name(source: object) -> str:
    """The name under which a table, a mapped class or a table name is watched."""
    table = _table_of(source)
    return table.name if isinstance(table, sa.Table) else str(table).rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Description:
    """A table that is there and can be read, its integer key, and the columns that are selected."""

    table: sa.Table
    key: sa.Column[Any]
    columns: Sequence[ColumnElement[Any]]

    def select(self) -> sa.Select[Any]:
        """All rows: the key, then the columns."""
        return sa.select(self.key, *self.columns)

    def row(self, found: Sequence[Any]) -> Row:
        """A row as `select()` brings it."""
        names = (column.name for column in self.columns)
        return Row(int(found[0]), dict(zip(names, found[1:], strict=True)))


class Describer:
    """Describes one source, again and again. `source`, `key` and `columns` are those of `Table`."""

    def __init__(self, source: object, key: str | None, columns: Sequence[str] | None) -> None:
        self.name = source_name(source)
        self._source = source
        self._key_name = key
        self._column_names = columns
        self._first_columns: list[str] = []

    def describe(self, connection: Connection) -> Description:
        """The table as it is now. Raises TableError if it cannot be watched."""
        with self._explained():
            table = self._reflect(connection)
            found = Description(table, self._key(table), self._columns(connection, table))
            connection.execute(found.select().limit(0))  # whether it may be read
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoSuchTableError:
            missing = _table_of(self._source)
            raise TableError(f"there is no table {missing}; create it, or watch another") from None
        except DBAPIError as error:
            if is_refused(error):
                raise TableError(
                    f"this user may not read {self.name}; grant it SELECT, and on PostgreSQL USAGE "
                    "of its schema"
                ) from None
            raise

    def _reflect(self, connection: Connection) -> sa.Table:
        table = _table_of(self._source)
        if not isinstance(table, sa.Table):
            schema, _, name = str(table).rpartition(".")
            return sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection)
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            raise NoSuchTableError(table.name)
        return table

    def _key(self, table: sa.Table) -> sa.Column[Any]:
        if self._key_name is not None:
            if self._key_name not in table.c:
                raise TableError(f"{self.name} has no column {self._key_name}: name an integer one")
            key = table.c[self._key_name]
        elif len(table.primary_key.columns) == 1:
            key = next(iter(table.primary_key.columns))
        else:
            raise TableError(
                f"{self.name} has no primary key of one column: name an integer key (key=, --key)"
            )
        if not isinstance(key.type, sa.Integer):
            raise TableError(
                f"{self.name}.{key.name} is no integer: name another column (key=, --key)"
            )
        return key

    def _columns(self, connection: Connection, table: sa.Table) -> list[ColumnElement[Any]]:
        names = self._names(table)
        missing = [name for name in names if name not in table.c]
        if missing:
            raise TableError(f"{self.name} has no column {missing[0]}")
        columns: list[ColumnElement[Any]] = [table.c[name] for name in names]
        if connection.dialect.name == "sqlite" and not isinstance(self._source, type | sa.Table):
            # SQLite keeps dates as what was written. A reflected type would insist on one form
            # and call every other one unreadable.
            columns = [_as_stored(column) for column in columns]
        return columns

    def _names(self, table: sa.Table) -> Sequence[str]:
        """What was asked for, or what the table had when it was first looked at: a column that is
        added later may be nobody's business. One that was dropped is left out."""
        if self._column_names is not None:
            return self._column_names
        if not self._first_columns:
            self._first_columns = [column.name for column in table.columns]
        return [name for name in self._first_columns if name in table.c]


def source_table(source: object) -> sa.Table:
    """The table that is meant, with its schema; described only where the source describes it."""
    table = _table_of(source)
    if isinstance(table, sa.Table):
        return table
    schema, _, name = str(table).rpartition(".")
    return sa.Table(name, sa.MetaData(), schema=schema or None)


def _table_of(source: object) -> object:
    return getattr(source, "__table__", source)


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, sa.Date | sa.DateTime | sa.Time):
        return sa.type_coerce(column, sa.types.NullType()).label(column.name)
    return column
