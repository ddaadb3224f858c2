"""Is the table still the one that is being streamed? The one place that decides.

A client holds a set of ids. They name rows only as long as no id is given to a second row. Where it
may have been, every stream is reset before any further row, and so is a client that comes back with
an id of before (`wire/epoch.py`). Where only the catalogue has changed, nobody is.

What a database shows (`dialects/`), in the statement that reads the rows and so in their snapshot:
the place; the lasting and the passing part of the history's name; the counters. What can happen:

- *The place is another*: another server, file or table. Nothing about ids carries over.
- *Ids start again, and a poll sees it*: the counter is below the position, or the sequence has
  fallen below it. A counter is read with the rows, so none of the new ones has gone out.
- *The name is another*. On PostgreSQL the lasting part is the sequence's file, the passing part the
  table's and what gives the key its value. TRUNCATE … RESTART IDENTITY makes both new, and so does
  a default that names another sequence; VACUUM FULL, a partition, an ALTER that rewrites make one
  new. As long as the sequence is the same, ids go on, so a rewritten table still has a row that was
  delivered, and a truncated one has none. Elsewhere one name stands for both truncating and
  altering, and the newest rows decide: in an altered table they are there as before, in another one
  they are others. Where all are gone, the lasting part decides.
- *Ids start again, and no poll sees it*: within one transaction, or between two polls, rows are
  deleted, the counter is set back, and other rows take the ids up to the position and beyond. No
  catalogue tells. But each such row lies at or below the position, so a row that was read is now
  another, or gone; and what was missed is made known before the next row goes out: whenever rows
  above the position are read, the newest row delivered is looked at first.

An updated row must not be taken for another one. One that keeps a value which no other row has, of
those that were read, was updated; one that keeps none was replaced. Neither is certain: an UPDATE
of all that tells the newest row from others brings a needless reset; a new row brings none if it
has such a value in common with the row whose id it took.

While a client is away, the workers that run see all this for it. A worker that starts later has
only the names: a lasting part that it does not know is a reset, a passing one only if no row up to
the client's position was left. What left no trace before it started it cannot know: these are the
`limits` that the doctor prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from poller.ids.cursor import Cursor
from poller.ids.ranges import Range, ranges_of, subtract
from poller.reading.snapshot import Found, History, HistoryMoved, Reading
from poller.wire import notices
from poller.wire.epoch import Salt
from poller.wire.row import Row

ROWS_COMPARED = 8
NOWHERE = History("", "")


class TableReader(Protocol):
    """What a `Source` offers to ask the table."""

    def describe(self) -> History: ...
    def page(self, ranges: Sequence[Range], limit: int) -> Found: ...


class Identity:
    """The history that is being streamed, and the newest rows of it."""

    def __init__(self, source: TableReader) -> None:
        self._source = source
        self._history = NOWHERE
        self._newest: dict[int, Row] = {}  # by id, the lowest first
        self._given: int | None = None
        self._void = False  # what was given before; said at the next reading
        self.salt = Salt()

    @property
    def name(self) -> str:
        """The history's present name, without the salt."""
        return self._history.epoch

    def begin(self, history: History) -> None:
        """Stream this history. Ids that were given of the one before, if any, are void."""
        self._void = self._void or self._history is not NOWHERE
        self._history, self._newest, self._given = history, {}, None

    def remember(self, rows: Iterable[Row]) -> None:
        """Rows as they were just read."""
        known = self._newest | {row.id: row for row in rows}
        self._newest = {row_id: known[row_id] for row_id in sorted(known)[-ROWS_COMPARED:]}

    # -- the decision -----------------------------------------------------------------------

    def reset_reason(self, reading: Reading, cursor: Cursor) -> str:
        """Why everybody has to begin again; empty if the table is the same. Of `reading` no row has
        gone out yet, and everything in `cursor` has.

        Raises HistoryMoved if the table changes meanwhile.
        """
        self._note_time(reading.second)
        if self.is_another(reading.history, cursor):
            return notices.HISTORY_CHANGED
        if self._has_fallen(reading, cursor.position) or self._is_refilled(reading, cursor):
            return notices.IDS_RESTARTED
        self._given = reading.given
        return ""

    def is_another(self, seen: History, cursor: Cursor) -> bool:
        """Whether `seen` is not the history that is being streamed. If the table was only altered,
        its history has the new name from here on.

        Raises HistoryMoved if it is not there any more: then nobody knows what was read.
        """
        if seen is self._history or seen == self._history:
            return False
        seen, known = self._source.describe(), self._history
        if seen == known:
            raise HistoryMoved("another table was there for a moment")
        if seen.place != known.place or (cursor.position and self._is_recreated(seen, cursor)):
            return True
        self._history = seen
        return False

    def _is_recreated(self, seen: History, cursor: Cursor) -> bool:
        """In the same place, under another name."""
        known = self._history
        same_ids, same_file = seen.lasting == known.lasting, seen.passing == known.passing
        if seen.numbered and known.numbered and not (same_ids or same_file):
            return True
        there = self._read_again(seen, ranges_of(self._newest))
        if there:
            return self._are_others(there, ())
        if not seen.numbered:
            return not same_ids
        delivered = subtract(((1, cursor.position),), cursor.gaps)
        return not same_file and not self._read_again(seen, delivered, rows=1)

    def _has_fallen(self, reading: Reading, position: int) -> bool:
        """A sequence below the position is no news, if it was set so before."""
        if reading.counter is not None and max(0, reading.counter) < position:
            return True
        if self._given is None or reading.given is None:
            return False
        return reading.given < min(self._given, position)

    def _is_refilled(self, reading: Reading, cursor: Cursor) -> bool:
        """Whether the ids of delivered rows were given to others. Looked at before rows go out that
        are above these."""
        if not reading.rows or not self._newest:
            return False
        beyond = [row for row in reading.rows if row.id > cursor.position]
        if not beyond:
            return False
        newest = list(self._newest.values())[-1]
        there = self._read_again(self._history, [(newest.id, newest.id)])
        if there and _same(newest, there[0]):
            return False
        there = self._read_again(self._history, ranges_of(self._newest))
        if there and self._are_others(there, beyond):
            return True
        self.remember(there)
        return False

    # -- rows -------------------------------------------------------------------------------

    def _read_again(
        self, seen: History, ranges: Sequence[Range], rows: int = ROWS_COMPARED
    ) -> list[Row]:
        """Those that are still there."""
        if not ranges:
            return []
        found = self._source.page(ranges, rows)
        if found.history != seen:
            raise HistoryMoved("the table was changed while it was looked at")
        return found.rows

    def _are_others(self, there: Sequence[Row], beyond: Sequence[Row]) -> bool:
        """Whether the rows that have the newest ids now are not those that were read: the newest
        one, or at least half of them."""
        others = [self._is_other(row, beyond) for row in there]
        newest_there = there[-1].id == max(self._newest)
        return (newest_there and others[-1]) or 2 * sum(others) >= len(others)

    def _is_other(self, now: Row, beyond: Sequence[Row]) -> bool:
        """Whether a row was replaced by `now`, and not just updated."""
        before = self._newest[now.id]
        if before.columns is None or now.columns is None or _same(before, now):
            return False
        company = [row for row in (*self._newest.values(), *beyond) if row.id != now.id]
        shared = {
            name: value
            for name, value in before.columns.items()
            if name in _read(now) and value != before.id  # the key tells nothing
        }
        telling = {
            name: value
            for name, value in shared.items()
            if value is not None and not any(_has(row, name, value) for row in company)
        }
        if not telling:
            # Where the same columns cannot be read any more, they tell nothing.
            renamed = before.columns.keys() != now.columns.keys()
            return not shared and renamed and len(before.columns) > 1
        return not any(_has(now, name, value) for name, value in telling.items())

    def _note_time(self, second: int) -> None:
        self.salt = self.salt.at(second)
        if self._void:
            self.salt, self._void = self.salt.void_before(), False


def _read(row: Row) -> set[str]:
    """The columns whose values are known."""
    return set(row.columns or ()) - set(row.withheld)


def _has(row: Row, name: str, value: object) -> bool:
    return row.columns is not None and name in row.columns and _equal(row.columns[name], value)


def _same(one: Row, other: Row) -> bool:
    """Whether two readings of a row agree in the columns that both have, more than the id alone."""
    if one.columns is None or other.columns is None:
        return one == other
    shared = _read(one) & _read(other)
    enough = len(shared) > 1 or len(one.columns) == 1
    return enough and all(_equal(one.columns[name], other.columns[name]) for name in shared)


def _equal(one: object, other: object) -> bool:
    """Whether two values are equal; NaN counts as equal to itself."""
    return one == other or (one != one and other != other)
