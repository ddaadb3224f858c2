"""Ranges of ids: the algebra that cursors, gaps and pages are made of.

A range is `(lowest, highest)`, both included. A sequence of ranges is sorted and disjoint wherever
it is passed or returned, and stands for the set of ids in it. Everything here is pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Range = tuple[int, int]

MAX_ID = 2**63 - 1  # the greatest BIGINT; beyond it PostgreSQL drops the index and SQLite raises


def subtract(ranges: Sequence[Range], taken: Sequence[Range]) -> tuple[Range, ...]:
    """`ranges` without the ids in `taken`."""
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
    """The ids in both."""
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


def above(ranges: Sequence[Range], position: int) -> tuple[Range, ...]:
    """The part of `ranges` above `position`."""
    left = tuple(ranges[index_at_or_above(ranges, position + 1) :])
    return ((position + 1, left[0][1]), *left[1:]) if left and left[0][0] <= position else left


def size(ranges: Sequence[Range]) -> int:
    """How many ids there are in `ranges`."""
    return sum(high - low + 1 for low, high in ranges)


def contains(ranges: Sequence[Range], row_id: int) -> bool:
    """Whether `row_id` is in one of `ranges`."""
    at = index_at_or_above(ranges, row_id)
    return at < len(ranges) and ranges[at][0] <= row_id


def index_at_or_above(ranges: Sequence[Range], row_id: int) -> int:
    """The index of the first range that ends at `row_id` or above; `len(ranges)` if none does."""
    return bisect_left(ranges, row_id, key=_highest)


def _highest(one: Range) -> int:
    return one[1]
