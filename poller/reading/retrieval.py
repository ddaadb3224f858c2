"""Rows that one statement for all cannot bring: large ones, and those that the driver cannot read.

They are read by their ids, few at a time. What a driver cannot read is found column by column, and
only that is withheld. A row's values always come from one statement, and so from one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.database import raise_if_away
from poller.reading.description import Description
from poller.reading.values import Value
from poller.wire.row import CutOff, Row

BATCH_BYTES = 4 * 2**20  # of rows that are read by themselves; then a batch is cut off
NO_PROBLEMS: Mapping[str, str] = {}
NOT_READ = "the database driver could not read it"


class Retrieval:
    """Reads rows of a described table by their ids, over one connection."""

    def __init__(self, connection: Connection, description: Description) -> None:
        self._connection = connection
        self._description = description
        self._columns = description.columns
        self._by_id = sa.type_coerce(description.key, sa.BigInteger)
        self._rows_at_once = max(
            1, BATCH_BYTES // (self._columns.max_bytes * (self._columns.sized or 1))
        )

    def rows(self, ids: Sequence[int]) -> Iterator[Row]:
        """All of them, in this order. One that was deleted meanwhile has a placeholder: fewer rows
        would say that no more follow."""
        for at in range(0, len(ids), self._rows_at_once):
            some = ids[at : at + self._rows_at_once]
            found = self._found(some)
            for row_id in some:
                yield found.get(row_id) or self._columns.missing(row_id)

    def check_statement(self) -> None:
        """Raises if not a row but the statement itself is refused, as when a column is gone."""
        self._connection.execute(self._select(self._columns.values).limit(0))

    def _found(self, ids: Sequence[int]) -> dict[int, Row]:
        found = self._read(ids, self._columns.values)
        if found is None and len(ids) > 1:
            return {key: row for row_id in ids for key, row in self._found([row_id]).items()}
        return self._readable_part(ids[0]) if found is None else found

    def _readable_part(self, row_id: int) -> dict[int, Row]:
        values = self._columns.values
        readable = [value for value in values if self._read([row_id], [value]) is not None]
        unread = {value.name: NOT_READ for value in values if value not in readable}
        found = self._read([row_id], readable, unread)
        if found is None:
            # The key alone can be read, so it is the row's content; otherwise this raises.
            self._connection.execute(sa.select(self._by_id).where(self._by_id == row_id)).all()
            return {row_id: Row(row_id, None, "the database driver could not read this row")}
        return found

    def _read(
        self, ids: Sequence[int], values: Sequence[Value], unread: Mapping[str, str] = NO_PROBLEMS
    ) -> dict[int, Row] | None:
        """The rows, as far as `values` go; None if the driver fails on one of them."""
        statement = self._select(values).where(self._by_id.in_(ids))
        try:
            found = self._connection.execute(statement).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            return None
        rows = (self._columns.whole_row(one, values, unread) for one in found)
        return {row.id: row for row in rows}

    def _select(self, values: Sequence[Value]) -> sa.Select[Any]:
        return sa.select(self._description.key, *self._columns.whole(values))


def upto_bytes(rows: Iterable[Row]) -> list[Row]:
    """The first of them, until a batch's bytes are full."""
    taken: list[Row] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += _size(row)
        if size >= BATCH_BYTES:
            return CutOff(taken)
    return taken


def _size(row: Row) -> int:
    """About the bytes of what may be large in it."""
    values = (row.columns or {}).values()
    return sum(len(value) for value in values if isinstance(value, str | bytes))
