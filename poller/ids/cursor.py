"""The cursor: the set of ids delivered so far.

Ids become visible out of order: a transaction takes id 6, another takes 7 and commits first. So
what was delivered is not a number but a set: a position, and the gaps below it.

    120          all ids up to 120 were delivered, or can never appear
    120 but 6    the same, except 6, which may still appear

Inside, a `Cursor` keeps the complement, its *holes*: the ranges of ids not delivered, of which no
two touch. The last hole always runs from position + 1 to `MAX_ID`. Every operation is then one of
two on ranges, `subtract` and `intersect`, and an id above the position needs no case of its own.

This module is pure, and a `Cursor` never changes. `cursor_token.py` has its text form.
Ids are integers from 1 to `MAX_ID`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from poller.ids.cursor_token import Parsed, format_token, parse_token, parse_whole, whole_text
from poller.ids.ranges import (
    MAX_ID,
    Range,
    clip,
    contains,
    index_at_or_above,
    intersect,
    subtract,
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """An immutable set of delivered ids. `Cursor.at(120)` holds all ids up to 120."""

    holes: tuple[Range, ...] = ((1, MAX_ID),)

    @classmethod
    def at(cls, position: int, gaps: Iterable[Range] = ()) -> Cursor:
        """All ids up to `position` but those in `gaps`.

        Raises ValueError if `position` is not in 0..MAX_ID - 1.
        """
        if not 0 <= position < MAX_ID:
            raise ValueError(f"position {position} is not in 0..{MAX_ID - 1}")
        return cls(()).without((*sorted(gaps), (position + 1, MAX_ID)))

    @property
    def position(self) -> int:
        """The greatest id delivered; 0 if there is none."""
        return self.holes[-1][0] - 1

    @property
    def gaps(self) -> tuple[Range, ...]:
        """The ranges below the position that were not delivered."""
        return self.holes[:-1]

    def with_gaps(self, gaps: Sequence[Range]) -> Cursor:
        """The same position with the sorted `gaps`, which must be below it and not touch it."""
        return Cursor((*gaps, self.holes[-1]))

    def __contains__(self, row_id: int) -> bool:
        return not contains(self.holes, row_id)

    def add(self, row_id: int) -> Cursor:
        """With `row_id` delivered. Adding one above the position leaves a gap between."""
        if not 1 <= row_id < MAX_ID:
            raise ValueError(f"id {row_id} is not in 1..{MAX_ID - 1}")
        at = index_at_or_above(self.holes, row_id)
        if row_id < self.holes[at][0]:
            return self
        return self._filled(at, at, ((row_id, row_id),))

    def retire(self, dead: Sequence[Range]) -> Cursor:
        """With the sorted ranges `dead` counted as delivered, since they can never appear."""
        dead = clip(dead, high=MAX_ID - 1)
        if not dead:
            return self
        first, last = (index_at_or_above(self.holes, one) for one in (dead[0][0], dead[-1][1]))
        return self._filled(first, last, dead)

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
        """The part at or below `position`, which must not be above this cursor's own."""
        gaps = clip(self.gaps, high=position)
        if gaps and gaps[-1][1] == position:  # inside a gap: the last hole begins with it
            return Cursor((*gaps[:-1], (gaps[-1][0], MAX_ID)))
        return Cursor((*gaps, (position + 1, MAX_ID)))

    def token(self) -> str:
        """This cursor as text; if none that fits is exact, the text of one that holds less."""
        return format_token(self.position, self.gaps)

    def whole(self) -> str:
        """All of it as text, however long that is: for other processes, not for clients."""
        return whole_text(self.position, self.gaps)

    @classmethod
    def parse_whole(cls, text: str) -> Cursor:
        """What `whole()` gave. Raises ValueError if it is malformed or out of range."""
        return cls.of(parse_whole(text))

    @classmethod
    def parse(cls, token: str) -> Cursor:
        """What a token names. Raises ValueError if it is malformed or out of range."""
        return cls.of(parse_token(token))

    @classmethod
    def of(cls, said: Parsed) -> Cursor:
        """What a token that was parsed names. Raises ValueError if it is out of range."""
        return cls((*said.gaps, *cls.at(said.position).holes))
