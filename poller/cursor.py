"""The cursor: the set of ids delivered so far.

Ids become visible out of order: a transaction takes id 6, another takes 7 and commits first. So
what was delivered is not a number but a set: a position, and the gaps below it.

    120          all ids up to 120 were delivered, or can never appear
    120 but 6    the same, except 6, which may still appear

Inside, a `Cursor` keeps the complement, its *holes*: the sorted, disjoint, non-adjacent ranges of
ids not delivered. The last hole always runs from position + 1 to `MAX_ID`. Every operation is then
one of two on sorted ranges, `subtract` and `intersect`, and an id above the position needs no case
of its own.

This module is pure: it imports nothing but the standard library, and a `Cursor` never changes.
Ids are integers from 1 to `MAX_ID`; a range is `(lowest, highest)`, both included.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Range = tuple[int, int]

MAX_ID = 2**63 - 1  # the greatest BIGINT; beyond it PostgreSQL drops the index and SQLite raises
MAX_TOKEN_CHARS = 1000  # with the epoch and its dot a token stays within 1,024 bytes
PLAIN_GAPS = 8  # up to so many gaps a token is a list that a person can read

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_VALUE = {char: value for value, char in enumerate(_DIGITS)}
# ASCII digits only: int() also takes "٣", "1_000", "+5" and blanks.
_TOKEN = re.compile(
    r"(?P<position>0|[1-9][0-9]{0,18})"
    r"(?:!(?:(?P<plain>[1-9][0-9]{0,18}(?:,[1-9][0-9]{0,18})*)|\+(?P<dense>[A-Za-z0-9_-]+)))?",
    re.ASCII,
)


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
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            both.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
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
    return intersect(ranges, ((1, high),)) if high >= 1 else ()


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
        hole = self.holes[at]
        if row_id < hole[0]:
            return self
        # Slices, not a loop: a batch is added row by row, and hundreds of gaps may be open.
        left = subtract((hole,), ((row_id, row_id),))
        return Cursor((*self.holes[:at], *left, *self.holes[at + 1 :]))

    def _hole_at_or_above(self, row_id: int) -> int:
        """The index of the first hole that ends at `row_id` or above."""
        return bisect_left(self.holes, row_id, key=_highest)

    def retire(self, dead: Sequence[Range]) -> Cursor:
        """With the sorted ranges `dead` counted as delivered, since they can never appear."""
        return Cursor(subtract(self.holes, clip(dead, high=MAX_ID - 1)))

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

    def token(self) -> str:
        """This cursor as text of `[A-Za-z0-9_!,+-]`, at most `MAX_TOKEN_CHARS` long.

        The position; where there are gaps also `!` and the run lengths downwards from it:
        delivered, gap, delivered, gap, …: `120!114,1` is "120 but 6". With more than `PLAIN_GAPS`
        gaps, `!+` and the runs as base-64 digits, five bits a digit, least first. Where that is
        too long the nearest gaps are merged: the text then holds less than the cursor, so that a
        client may see a row twice, never miss one.
        """
        if len(self.holes) == 1:
            return str(self.position)
        gaps = self.gaps
        while len(text := f"{self.position}!{_format_runs(self.position, gaps)}") > MAX_TOKEN_CHARS:
            # Each merge saves about two digits for each of the two runs that go.
            gaps = _merged(gaps, 1 + (len(text) - MAX_TOKEN_CHARS) // 4)
        return text

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """The cursor of a token. Raises ValueError where `token()` cannot have made it."""
        match = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN_CHARS else None
        if match is None:
            raise ValueError("not a cursor token")
        position = int(match["position"])
        if match["plain"]:
            runs = [int(run) for run in match["plain"].split(",")]
        else:
            runs = _parse_dense(match["dense"] or "")
        return cls.at(position, _gaps_of_runs(position, runs))


def _runs(position: int, gaps: Sequence[Range]) -> list[int]:
    """Lengths downwards from the position: delivered, gap, delivered, gap, …"""
    runs, below = [], position + 1
    for low, high in reversed(gaps):
        runs += [below - 1 - high, high - low + 1]
        below = low
    return runs


def _gaps_of_runs(position: int, runs: Sequence[int]) -> list[Range]:
    if len(runs) % 2 or any(run < 1 for run in runs) or sum(runs) > position:
        raise ValueError("the runs do not fit below the position")
    gaps, at = [], position
    for delivered, missing in zip(runs[::2], runs[1::2], strict=True):
        high = at - delivered
        at = high - missing
        gaps.append((at + 1, high))
    return gaps


def _format_runs(position: int, gaps: Sequence[Range]) -> str:
    runs = _runs(position, gaps)
    if len(gaps) <= PLAIN_GAPS:
        return ",".join(map(str, runs))
    return "+" + "".join(map(_dense, runs))


def _dense(number: int) -> str:
    """Base-64 digits of five bits each, least first; all but the last have the sixth bit set."""
    digits = []
    while number >= 32:
        digits.append(_DIGITS[32 | number & 31])
        number >>= 5
    return "".join(digits) + _DIGITS[number]


def _parse_dense(text: str) -> list[int]:
    numbers, value, shift = [], 0, 0
    for char in text:
        digit = _VALUE[char]
        value |= (digit & 31) << shift
        shift += 5
        if shift > 70:
            raise ValueError("a run is longer than any id")
        if digit < 32:
            numbers.append(value)
            value = shift = 0
    if shift:
        raise ValueError("the last run is cut off")
    return numbers


def _merged(gaps: Sequence[Range], times: int) -> tuple[Range, ...]:
    """The same with the `times` nearest pairs of neighbours made one gap each."""
    spaces = [right[0] - left[1] for left, right in pairwise(gaps)]
    nearest = set(sorted(range(len(spaces)), key=spaces.__getitem__)[:times])
    merged = [gaps[0]]
    for index, (low, high) in enumerate(gaps[1:]):
        if index in nearest:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def _highest(hole: Range) -> int:
    return hole[1]
