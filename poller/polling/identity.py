"""Is the table still the one that is being streamed?

Another place is another table. In the same place, a new version may mean that the table was only
altered, or that it was dropped, truncated or filled again. The newest rows that were read decide:
an altered table still shows them, in the columns that are left; the others do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from poller.ids.ranges import Range, ranges_of
from poller.reading.snapshot import Found, History, HistoryMoved
from poller.wire.row import Row

ROWS_COMPARED = 8


class TableReader(Protocol):
    """What a `Source` offers to ask the table."""

    def describe(self) -> History: ...
    def page(self, ranges: Sequence[Range], limit: int) -> Found: ...


class Identity:
    """The history that is being streamed, and the newest rows of it."""

    def __init__(self, source: TableReader, history: History) -> None:
        self._source = source
        self._history = history
        self._newest: deque[Row] = deque(maxlen=ROWS_COMPARED)

    @property
    def epoch(self) -> str:
        """The history's present name."""
        return self._history.epoch

    def remember(self, rows: Sequence[Row]) -> None:
        """Rows that were just read, in that order."""
        self._newest.extend(rows[-ROWS_COMPARED:])

    def is_another(self, seen: History, position: int) -> bool:
        """Whether `seen` is not the history that is being streamed, up to id `position`.

        If the table was only altered, its history has the new name from here on. Raises
        HistoryMoved if it is altered meanwhile.
        """
        if seen == self._history:
            return False
        seen = self._source.describe()
        if seen.place != self._history.place or self._is_recreated(seen, position):
            return True
        self._history = seen
        return False

    def _is_recreated(self, seen: History, position: int) -> bool:
        """Whether none of the newest rows is there any more. If none was read that could tell, the
        worst is assumed of a table that had any."""
        if not self._newest:
            return position > 0
        ids = sorted(row.id for row in self._newest)
        found = self._source.page(ranges_of(ids), ROWS_COMPARED)
        if found.history != seen:
            raise HistoryMoved("the table was changed while it was looked at")
        there = {row.id: row for row in found.rows}
        return not any(row.id in there and _same(row, there[row.id]) for row in self._newest)


def _same(one: Row, other: Row) -> bool:
    """Whether two readings of a row agree in the columns that both have, more than the id alone."""
    if one.columns is None or other.columns is None:
        return one == other
    shared = one.columns.keys() & other.columns.keys()
    enough = len(shared) > 1 or len(one.columns) == 1
    return enough and all(_equal(one.columns[name], other.columns[name]) for name in shared)


def _equal(one: object, other: object) -> bool:
    """Whether two values are equal; NaN counts as equal to itself."""
    return one == other or (one != one and other != other)
