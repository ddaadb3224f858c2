"""The open gaps: ids below the position that were not seen, each with what may still fill it.

Pure, as the cursor is. A fence (`fence.py`) says what fills gaps in one kind of database; here is
the bookkeeping that all share. Any number of gaps is judged in one pass; a gap is a range, so an id
that jumps by a billion costs no more than one that skips one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from poller.ids.ranges import Range

Witness = object  # what a fence remembers of a gap; None: nothing yet
NOTHING_KNOWN = "nothing known"  # the witness of a gap whose holders were not looked at yet
Judge = Callable[[Range, Witness | None], Witness | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """A range of ids, what may still fill it, and since when it is known (seconds, monotonic)."""

    low: int
    high: int
    witness: Witness
    since: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """The open gaps in id order, and the `floor`. Immutable.

    The floor is the range of ids, from 1, of which nothing was looked at when the poller started:
    too many for a list. It is judged as one gap and never read; while it is open, nobody can say
    that an id in it is dead.
    """

    open: tuple[Gap, ...] = ()
    floor: Gap | None = None

    @classmethod
    def at_start(cls, ranges: Sequence[Range], floor: int, judge: Judge, now: float) -> Gaps:
        """The gaps that the start found, and the greatest id of the floor (0: there is none)."""
        found, _ = cls().after_pass(ranges, ranges[-1][1] if ranges else 0, judge, now)
        if floor and (witness := judge((1, floor), None)) is not None:
            return replace(found, floor=Gap(1, floor, witness, now))
        return found

    @property
    def all(self) -> tuple[Gap, ...]:
        """The floor, if it is open, and the open gaps."""
        return (self.floor, *self.open) if self.floor else self.open

    def after_pass(
        self, ranges: Sequence[Range], covered: int, judge: Judge, now: float
    ) -> tuple[Gaps, tuple[Range, ...]]:
        """The gaps after one pass, and the ranges that it proved dead.

        `ranges` are the gaps of the cursor with this pass's rows in it: each lies in one gap that
        was open before or in none, since rows only split gaps. `covered` is the greatest id that
        the pass would have shown, a row's own if its limit cut it off, so that no gap lies
        across it; above it, the pass proves nothing and nothing is judged.

        `judge(range, witness)` gives the next witness, None if the gap is dead; the witness it
        gets is None if this pass discovered the gap.
        """
        still: list[Gap] = []
        dead: list[Range] = []
        before = iter(self.open)
        gap = next(before, None)
        for low, high in ranges:
            while gap is not None and gap.high < low:
                gap = next(before, None)
            known = gap if gap is not None and gap.low <= low else None
            if low > covered:
                if known is not None:
                    still.append(replace(known, low=low, high=high))
                continue
            kept = judge((low, high), known.witness if known else None)
            if kept is None:
                dead.append((low, high))
            else:
                still.append(Gap(low, high, kept, known.since if known else now))
        return Gaps(tuple(still), self._floor_after(judge)), tuple(dead)

    def afresh(self) -> Gaps:
        """The same with nothing known of any: what was seen before a fault proves nothing."""
        floor = self.floor and replace(self.floor, witness=NOTHING_KNOWN)
        return Gaps(tuple(replace(gap, witness=NOTHING_KNOWN) for gap in self.open), floor)

    def _floor_after(self, judge: Judge) -> Gap | None:
        if self.floor is None:
            return None
        kept = judge((self.floor.low, self.floor.high), self.floor.witness)
        return None if kept is None else replace(self.floor, witness=kept)
