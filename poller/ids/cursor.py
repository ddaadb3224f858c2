"""The cursor: the set of ids delivered so far.

Ids become visible out of order: a transaction takes id 6, another takes 7 and commits first. So
what was delivered is not a number but a set: a position, and the gaps below it.

    120          all ids up to 120 were delivered, or can never appear
    120 but 6    the same, except 6, which may still appear

Inside, a `Cursor` keeps the complement, its *holes*: the sorted, disjoint, non-adjacent ranges of
ids not delivered. The last hole always runs from position + 1 to `MAX_ID`. Every operation is then
one of two on sorted ranges, `subtract` and `intersect`, and an id above the position needs no case
of its own.

This module is pure, and a `Cursor` never changes. Its text form stands in `cursor_token.py`.
Ids are integers from 1 to `MAX_ID`; a range is `(lowest, highest)`, both included.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from poller.ids.cursor_token import format_token, nameable_gaps, parse_token

Range = tuple[int, int]

MAX_ID = 2**63 - 1  # the greatest BIGINT; beyond it PostgreSQL drops the index and SQLite raises


def subtract(ranges: Sequence[Range], taken: Sequence[Range]) -> tuple[Range, ...]:
    """`ranges` without the ids in `taken`; both sorted and disjoint, as is the result."""
    left: list[Range] = []
    start = 0
    for first, high in ranges:
        low = first
        while start < len(taken) and taken[start][1] < low:
            start += 1
        at = start
        while at < len(taken) and taken[at][0] <= high:
            if taken[at][0] > low:
                left.append((low, taken[at][0] - 1))
            low = taken[at][1] + 1
            at += 1
        if low <= high:
            left.append((low, high))
    return tuple(left)


def intersect(one: Sequence[Range], other: Sequence[Range]) -> tuple[Range, ...]:
    """The ids in both; arguments and result sorted and disjoint."""
    both: list[Range] = []
    i = j = 0
    while i < len(one) and j < len(other):
        (low, high), (other_low, other_high) = one[i], other[j]
        if low < other_low:  # noqa: PLR1730 - max() would take as long as all the rest
            low = other_low
        if high < other_high:
            i += 1
        else:
            high = other_high
            j += 1
        if low <= high:
            both.append((low, high))
    return tuple(both)


def ranges_of(ids: Iterable[int]) -> tuple[Range, ...]:
    """Ids in ascending order, as ranges."""
    ranges: list[Range] = []
    for row_id in ids:
        if ranges and ranges[-1][1] == row_id - 1:
            ranges[-1] = (ranges[-1][0], row_id)
        else:
            ranges.append((row_id, row_id))
    return tuple(ranges)


def clip(ranges: Sequence[Range], *, high: int) -> tuple[Range, ...]:
    """The part of `ranges` up to and including `high`."""
    kept = tuple(ranges[: bisect_right(ranges, (high, MAX_ID))])
    return kept if not kept or kept[-1][1] <= high else (*kept[:-1], (kept[-1][0], high))


@dataclass(frozen=True, slots=True)
class Cursor:
    """An immutable set of delivered ids. `Cursor.at(120)` holds all ids up to 120."""

    holes: tuple[Range, ...] = ((1, MAX_ID),)

    @classmethod
    def at(cls, position: int, gaps: Iterable[Range] = ()) -> Cursor:
        """All ids up to `position` but those in `gaps`.

        Raises ValueError where `position` is not in 0..MAX_ID - 1.
        """
        if not 0 <= position < MAX_ID:
            raise ValueError(f"position {position} is not in 0..{MAX_ID - 1}")
        return cls(()).without((*sorted(gaps), (position + 1, MAX_ID)))

    @property
    def position(self) -> int:
        """The greatest id delivered; 0 where there is none."""
        return self.holes[-1][0] - 1

    @property
    def gaps(self) -> tuple[Range, ...]:
        """The ranges below the position that were not delivered."""
        return self.holes[:-1]

    def __contains__(self, row_id: int) -> bool:
        at = self._hole_at_or_above(row_id)
        return at == len(self.holes) or row_id < self.holes[at][0]

    def add(self, row_id: int) -> Cursor:
        """With `row_id` delivered. Adding one above the position leaves a gap between."""
        if not 1 <= row_id < MAX_ID:
            raise ValueError(f"id {row_id} is not in 1..{MAX_ID - 1}")
        at = self._hole_at_or_above(row_id)
        if row_id < self.holes[at][0]:
            return self
        return self._filled(at, at, ((row_id, row_id),))

    def retire(self, dead: Sequence[Range]) -> Cursor:
        """With the sorted ranges `dead` counted as delivered, since they can never appear."""
        dead = clip(dead, high=MAX_ID - 1)
        if not dead:
            return self
        first, last = (self._hole_at_or_above(row_id) for row_id in (dead[0][0], dead[-1][1]))
        return self._filled(first, last, dead)

    def _hole_at_or_above(self, row_id: int) -> int:
        """The index of the first hole that ends at `row_id` or above."""
        return bisect_left(self.holes, row_id, key=_highest)

    def _filled(self, first: int, last: int, ranges: Sequence[Range]) -> Cursor:
        """With `ranges` taken from the holes `first` to `last`, the only ones that they touch.

        The other holes are copied as slices: a batch is added row by row, and hundreds may be open.
        """
        left = subtract(self.holes[first : last + 1], ranges)
        return Cursor((*self.holes[:first], *left, *self.holes[last + 1 :]))

    def without(self, ranges: Sequence[Range]) -> Cursor:
        """With the sorted `ranges` not delivered."""
        delivered = subtract(((1, MAX_ID),), self.holes)
        return Cursor(subtract(((1, MAX_ID),), subtract(delivered, ranges)))

    def union(self, other: Cursor) -> Cursor:
        """With everything that either holds."""
        return Cursor(intersect(self.holes, other.holes))

    def difference(self, other: Cursor) -> tuple[Range, ...]:
        """The ranges of ids that this one holds and `other` lacks: what `other` has to catch up."""
        return subtract(other.holes, self.holes)

    def upto(self, position: int) -> Cursor:
        """What of this is at or below `position`, which must not be above this one's own."""
        gaps = clip(self.gaps, high=position)
        if gaps and gaps[-1][1] == position:  # inside a gap: the last hole begins with it
            return Cursor((*gaps[:-1], (gaps[-1][0], MAX_ID)))
        return Cursor((*gaps, (position + 1, MAX_ID)))

    def nameable(self) -> Cursor:
        """This cursor, or one that holds less, where a token could not say it, and more rows."""
        return Cursor((*nameable_gaps(self.position, self.gaps), self.holes[-1]))

    def token(self) -> str:
        """This cursor as text; where no text that fits is exact, of one that holds less."""
        return format_token(self.position, self.gaps)

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """The cursor of a token. Raises ValueError where it is malformed or out of range."""
        position, gaps = parse_token(token)
        return cls((*gaps, *cls.at(position).holes))


def _highest(hole: Range) -> int:
    return hole[1]
