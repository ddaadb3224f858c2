"""A set of ids, with what a token says of it.

A token has room for some thousand gaps. Where more are open it names hulls: each is the range from
the first to the last of some neighbouring gaps, and counts as missing as a whole. So it names less
than the client has, never more.

Which gaps share a hull is kept from one set to the next, and decided anew only when the text grows
too long: to merge 20,000 gaps takes 100 ms, and a set changes with every batch. When few are left,
the name is exact again.

This module is pure, and a `Named` never changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from poller.ids.cursor import Cursor
from poller.ids.cursor_token import format_token, is_short, nameable_gaps
from poller.ids.marks import toggled
from poller.ids.ranges import Range, above, clip, index_at_or_above


@dataclass(frozen=True, slots=True)
class Named:
    """A cursor, its mark, and the gaps that its token names.

    Each of the cursor's gaps lies in one of `gaps`, and each of these holds one at least. Equality
    looks at the mark first.
    """

    mark: int
    cursor: Cursor
    gaps: tuple[Range, ...]

    @classmethod
    def of(cls, cursor: Cursor) -> Named:
        """Merges all gaps at once: for the few of a client, or of a start."""
        gaps = tuple(nameable_gaps(cursor.position, cursor.gaps))
        return cls(toggled(cursor.holes), cursor, gaps)

    def __hash__(self) -> int:
        return self.mark

    @property
    def position(self) -> int:
        return self.cursor.position

    @property
    def is_exact(self) -> bool:
        """Whether a token says all of it."""
        holes = self.cursor.holes
        return len(self.gaps) == len(holes) - 1 and self.gaps == holes[:-1]

    def token(self) -> str:
        """With the mark, if the rest is not exact."""
        return format_token(self.position, self.gaps, None if self.is_exact else self.mark)

    def then(self, taken: Sequence[Range]) -> Named:
        """With the ids in `taken`, sorted ranges of which it has none."""
        if not taken:
            return self
        after = self.cursor.retire(taken)
        mark, exact = self.mark ^ toggled(taken), after.gaps
        if not self.is_exact and not is_short(after.position, exact):
            exact = (*self._tightened(after, taken), *above(exact, self.position))
        return Named(mark, after, tuple(nameable_gaps(after.position, exact)))

    def without(self, ranges: Sequence[Range]) -> Named:
        """Without the ids in the sorted `ranges`."""
        return Named.of(self.cursor.without(ranges)) if ranges else self

    def _tightened(self, after: Cursor, taken: Sequence[Range]) -> list[Range]:
        """The hulls, around what `taken` leaves of their gaps."""
        touched: dict[int, tuple[Range, ...]] = {}
        for low, _ in taken:
            at = index_at_or_above(self.gaps, low)
            if at < len(self.gaps) and at not in touched:
                touched[at] = self._left_of(self.gaps[at], after)
        hulls: list[Range] = []
        done = 0
        for at, left in touched.items():
            hulls += (*self.gaps[done:at], *left)
            done = at + 1
        return [*hulls, *self.gaps[done:]]

    def _left_of(self, hull: Range, after: Cursor) -> tuple[Range, ...]:
        left = _inside(after, hull)
        if len(left) < 2 or len(_inside(self.cursor, hull)) == 1:
            return left
        return ((left[0][0], left[-1][1]),)


class Change(NamedTuple):
    """From one set to a greater one by rows, in the order of their ids, and by ids that can never
    appear.

    No more is needed to tell the sets between: after row x that is `after` up to x, and `before`
    above it. So a batch of rows keeps two sets.
    """

    before: Named
    after: Named

    def at(self, row_id: int, mark: int) -> Named:
        """The set after the row `row_id`, which `before` lacks, and all rows below it; `mark` is
        its mark."""
        if row_id >= self.after.position:
            return self.after
        before, after = self.before, self.after
        holes = clip(after.cursor.holes, high=row_id - 1), above(before.cursor.holes, row_id)
        gaps = clip(after.gaps, high=row_id - 1), above(before.gaps, row_id)
        return Named(mark, Cursor((*holes[0], *holes[1])), (*gaps[0], *gaps[1]))

    def position_at(self, row_id: int) -> int:
        """The greatest id of that set."""
        return max(self.before.position, row_id)


def _inside(cursor: Cursor, hull: Range) -> tuple[Range, ...]:
    """The holes of the cursor in a hull, which ends with one or in none."""
    first = index_at_or_above(cursor.holes, hull[0])
    return cursor.holes[first : bisect_left(cursor.holes, (hull[1] + 1,))]
