"""The newest rows that were read, which vouch for a table that may have been made anew.

A table that was only altered still shows them, in the columns that are left; one that was dropped,
truncated or filled again does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from poller.ids.cursor import Range, ranges_of
from poller.wire.row import Row

ROWS_COMPARED = 8

PageReader = Callable[[Sequence[Range], int], list[Row]]


class Newest:
    """The last rows of a stream, by the order in which they were read."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows = deque(rows, maxlen=ROWS_COMPARED)

    def extend(self, rows: Sequence[Row]) -> None:
        self._rows.extend(rows[-ROWS_COMPARED:])

    def __bool__(self) -> bool:
        return bool(self._rows)

    def any_there(self, read_page: PageReader) -> bool:
        """Whether one of them is in the table as it was."""
        ids = sorted(row.id for row in self._rows)
        there = {row.id: row for row in read_page(ranges_of(ids), ROWS_COMPARED)}
        return any(row.id in there and _same(row, there[row.id]) for row in self._rows)


def _same(one: Row, other: Row) -> bool:
    """Whether two readings of a row agree in the columns that both have, more than the id alone."""
    if one.columns is None or other.columns is None:
        return one == other
    shared = one.columns.keys() & other.columns.keys()
    enough = len(shared) > 1 or len(one.columns) == 1
    return enough and all(one.columns[name] == other.columns[name] for name in shared)
