"""The columns of a table whose rows may change, as they are read for a feed by version.

A row's place in the cursor is its version; `key` tells which row it is. Both come in the statement
that reads the row, and so does whether it was deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.filterable import Filterable
from poller.reading.values import Columns, Value
from poller.wire.row import KeyedRow, Row

NO_KEY = "its key cannot be sent"


class ChangingColumns(Columns):
    """Those of `Columns`, of which `key` are the names that tell a row. `deleted` marks a row that
    is gone: see `is_marked()`."""

    def __init__(
        self,
        values: Sequence[Value],
        max_bytes: int,
        gone: Sequence[str],
        filters: Sequence[Filterable],
        names: Sequence[str],
        key: Sequence[str],
        deleted: sa.Column[Any] | None,
    ) -> None:
        self.key = tuple(key)
        mark: ColumnElement[Any] = sa.null() if deleted is None else is_marked(deleted)
        self._mark = mark.label("rowcast_deleted")
        super().__init__(values, max_bytes, gone, filters, names)

    def _at_once(self) -> list[ColumnElement[Any]]:
        found = super()._at_once()
        found.insert(len(self.values), self._mark)
        return found

    def whole(self, values: Sequence[Value]) -> list[ColumnElement[Any]]:
        return [*super().whole(values), self._mark]

    def row(self, found: Sequence[Any]) -> Row:
        return self._keyed(super().row(found), found[1 + len(self.values)])

    def whole_row(
        self, found: Sequence[Any], values: Sequence[Value], unread: Mapping[str, str]
    ) -> Row:
        return self._keyed(super().whole_row(found[:-1], values, unread), found[-1])

    def missing(self, row_id: int) -> Row:
        return KeyedRow(row_id, None)

    def _keyed(self, row: Row, mark: object) -> Row:
        columns = row.columns or {}
        if any(name in row.withheld for name in self.key):
            return KeyedRow(row.id, None, NO_KEY)
        key = {name: columns[name] for name in self.key}
        found = row.id, row.columns, "", row.withheld, row.values
        return KeyedRow(*found, key, mark is not None)


def is_marked(column: sa.Column[Any]) -> ColumnElement[Any]:
    """1 where the column says that its row is gone, NULL otherwise. A boolean says it if it is
    true, a number if it is not 0, anything else if it is not NULL."""
    if isinstance(column.type, sa.Boolean):
        says: ColumnElement[bool] = column.is_(sa.true())
    elif isinstance(column.type, sa.Integer):
        says = column != 0
    else:
        says = column.is_not(None)
    return sa.case((says, 1))
