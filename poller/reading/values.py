"""The columns of a watched table, as they are read.

A column that was found in the database goes out as the database holds it, never through a type that
converts. A mapped class or a `sqlalchemy.Table` keeps the types that it was given: they are its
author's word on what a value means.

A value has a bound, and so has a batch. Most rows are small, and read in one statement
(`at_once`); it leaves out what is larger than `INLINE_BYTES` and marks its row, which is then read
by itself (`whole`), with its size in place of a value that is too large to be sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from poller.reading.dialects import mysql_values, postgresql_values
from poller.reading.dialects.held import NO_TYPE
from poller.reading.filterable import Filterable
from poller.wire.exact import NO_VALUE
from poller.wire.row import Row

INLINE_BYTES = 8 * 1024  # of one value: 500 rows then hold 4 MB a column at most
BYTES_OF_A_CHARACTER = 4
GONE = "the table no longer has this column"


@dataclass(frozen=True, slots=True)
class Value:
    """A column: the expression that reads it, and one for its bytes if these may be many."""

    name: str
    read: ColumnElement[Any]
    size: ColumnElement[Any] | None


class Columns:
    """The columns that go to the streams; `max_bytes` bounds a value of each. Those that are `gone`
    from the table go out as null, and each row says so.

    `values` are all that are read. The last ones, if they are not among `names`, are there only to
    tell rows apart by `filters`: of these neither a value nor a name goes out.
    """

    def __init__(
        self,
        values: Sequence[Value],
        max_bytes: int,
        gone: Sequence[str] = (),
        filters: Sequence[Filterable] = (),
        names: Sequence[str] | None = None,
    ) -> None:
        self.values = values
        self.max_bytes = max_bytes
        self._nulls = dict.fromkeys(gone)
        self._gone = dict.fromkeys(gone, GONE)
        self.names = tuple(value.name for value in values) if names is None else tuple(names)
        self.filters = filters
        places = {value.name: at for at, value in enumerate(values, start=1)}  # after the key
        self._filtered = [(places[one.name], one.held) for one in filters]
        self._sizes = [value.size for value in values if value.size is not None]
        self.at_once = self._at_once()

    @property
    def gone(self) -> Sequence[str]:
        """Those that the table no longer has."""
        return tuple(self._gone)

    @property
    def sized(self) -> int:
        """How many there are whose values may be large."""
        return len(self._sizes)

    def _at_once(self) -> list[ColumnElement[Any]]:
        """Small values; last, if there are others, whether the row has one."""
        inline = min(INLINE_BYTES, self.max_bytes)
        found = [_labelled(at, _upto(value, inline)) for at, value in enumerate(self.values)]
        if self._sizes:
            large = sa.or_(sa.false(), *(size > inline for size in self._sizes))
            found.append(sa.case((large, 1)).label("rowcast_large"))
        return found

    def whole(self, values: Sequence[Value]) -> list[ColumnElement[Any]]:
        """Values that are to be sent, then the sizes of those that are too large."""
        found = [_labelled(at, _upto(value, self.max_bytes)) for at, value in enumerate(values)]
        sizes = [value.size for value in values if value.size is not None]
        return [*found, *(sa.case((size > self.max_bytes, size)) for size in sizes)]

    def is_large(self, found: Sequence[Any]) -> bool:
        """Whether a row that `at_once` found lacks a value."""
        return bool(self._sizes and found[-1])

    def row(self, found: Sequence[Any]) -> Row:
        """A row as the key and `at_once` bring it."""
        columns = dict(zip(self.names, found[1:], strict=False)) | self._nulls
        values = tuple([held(found[at]) for at, held in self._filtered])
        return Row(int(found[0]), columns, withheld=self._gone, values=values)

    def missing(self, row_id: int) -> Row:
        """A row that is not there any more, in place of what was to be read of it."""
        return Row(row_id, None, "the row was deleted while it was read")

    def whole_row(
        self, found: Sequence[Any], values: Sequence[Value], unread: Mapping[str, str]
    ) -> Row:
        """A row as the key and `whole(values)` bring it; `unread` says why others were not read."""
        read = dict(zip((value.name for value in values), found[1:], strict=False))
        sized = [value.name for value in values if value.size is not None]
        too_large = {
            name: f"{size} bytes, more than ROWCAST_MAX_VALUE={self.max_bytes}"
            for name, size in zip(sized, found[1 + len(values) :], strict=True)
            if size is not None
        }
        lost = {**unread, **too_large}
        return Row(
            int(found[0]),
            {name: read.get(name) for name in self.names} | self._nulls,
            withheld={name: lost[name] for name in lost if name in self.names} | self._gone,
            values=tuple(
                # Each is read alone, to find what the driver cannot read: then it has no others.
                NO_VALUE if one.name in lost or one.name not in read else one.held(read[one.name])
                for one in self.filters
            ),
        )


def values_of(
    columns: Sequence[sa.Column[Any]],
    key: ColumnElement[Any] | None,
    dialect: str,
    *,
    reflected: bool,
) -> list[Value]:
    """`columns` as they are read. `reflected`: their types are the database's own."""
    return [
        Value(
            column.name,
            _held(column, dialect) if reflected else column,
            None if column is key else _size(column, dialect, reflected=reflected),
        )
        for column in columns
    ]


def _held(column: sa.Column[Any], dialect: str) -> ColumnElement[Any]:
    match dialect:
        case "postgresql":
            return postgresql_values.held(column)
        case "mysql" | "mariadb":
            return mysql_values.held(column)
        case _:  # SQLite keeps in any column what it was given, whatever was declared
            return sa.type_coerce(column, NO_TYPE)


def _size(column: sa.Column[Any], dialect: str, *, reflected: bool) -> ColumnElement[Any] | None:
    """If a declared length is the database's own, it is kept; one that
    the application declares may be wrong."""
    if dialect == "sqlite":
        return sa.func.length(sa.cast(column, sa.LargeBinary))
    kind = _plain(column.type)
    if reflected and isinstance(kind, sa.String | sa.LargeBinary) and _is_short(kind.length):
        return None
    plain = sa.type_coerce(column, kind)
    match dialect:
        case "postgresql":
            return postgresql_values.size(plain)
        case "mysql" | "mariadb":
            return mysql_values.size(plain)
        case _:
            return None


def _is_short(length: int | None) -> bool:
    return length is not None and length * BYTES_OF_A_CHARACTER <= INLINE_BYTES


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def _upto(value: Value, most: int) -> ColumnElement[Any]:
    return value.read if value.size is None else sa.case((value.size <= most, value.read))


def _labelled(at: int, expression: ColumnElement[Any]) -> ColumnElement[Any]:
    return expression.label(f"rowcast_{at}")
