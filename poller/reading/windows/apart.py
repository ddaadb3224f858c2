"""Rows of a window that one statement for all cannot bring: large ones, and those that the driver
cannot read. They are read by their keys, few at a time. What a driver cannot read is found column
by column, and only that is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.database import raise_if_away
from poller.reading.description import TableError
from poller.reading.retrieval import NOT_READ
from poller.reading.values import Value
from poller.reading.windows.look import Raw
from poller.reading.windows.query import LIMIT, Query
from poller.wire.row import KeyedRow

GROUP_BYTES = 4 * 2**20  # of rows that are read at once


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
            found = tuples(self._connection.execute(statement, {LIMIT: self._rows}))
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


def tuples(found: Any) -> list[Raw]:
    return [*map(tuple, found)]


def _size(row: KeyedRow) -> int:
    values = (row.columns or {}).values()
    return sum(len(value) for value in values if isinstance(value, str | bytes))
