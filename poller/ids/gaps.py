"""The open gaps: ids below the position that were not seen, with what may still fill them.

Pure, as the cursor is. A fence (`fence.py`) says what fills gaps in one kind of database; here is
the bookkeeping that all share. A gap is a range, so an id that jumps by a billion costs no more
than one that skips one. Gaps that one pass discovered are a *part*: they share a witness and an
age, so that a pass in which nothing changed asks once a witness and touches no gap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from poller.ids.ranges import Range, above, clip, index_at_or_above, subtract

Witness = object  # what a fence remembers of a gap; hashable. None: nothing yet
NOTHING_KNOWN = "nothing known"  # the witness of a gap whose holders were not looked at yet
Judge = Callable[[Range, Witness | None], Witness | None]
SAME_AGE_S = 1.0  # parts that were discovered within it become one, once they have one witness

NOBODY: frozenset[Witness] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """Gaps, what may still fill them, and since when they are known (seconds, monotonic)."""

    ranges: tuple[Range, ...]
    witness: Witness
    since: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """The open gaps as parts, and the `floor`. Immutable.

    The floor is the range of ids, from 1, of which nothing was looked at when the poller started:
    too many for a list. It is judged as one gap and never read; while it is open, nobody can say
    that an id in it is dead.
    """

    open: tuple[Part, ...] = ()
    floor: Part | None = None

    @classmethod
    def at_start(cls, ranges: Sequence[Range], floor: int, judge: Judge, now: float) -> Gaps:
        """The gaps that the start found, and the greatest id of the floor (0: there is none)."""
        found, _ = cls().after_pass((), ranges, ranges[-1][1] if ranges else 0, judge, now)
        if floor and (witness := judge((1, floor), None)) is not None:
            return replace(found, floor=Part(((1, floor),), witness, now))
        return found

    @property
    def all(self) -> tuple[Part, ...]:
        """The floor, if it is open, and the open gaps."""
        return (self.floor, *self.open) if self.floor else self.open

    @property
    def floor_top(self) -> int:
        """The greatest id of the floor; 0 if there is none."""
        return self.floor.ranges[-1][1] if self.floor else 0

    def unchanged(self, must_read: Callable[[Witness], bool]) -> frozenset[Witness]:
        """The witnesses whose gaps need not be read; the fence says which have to be."""
        return frozenset(one for one in {part.witness for part in self.open} if not must_read(one))

    def ranges(self, but: frozenset[Witness] = NOBODY) -> tuple[Range, ...]:
        """The open gaps in id order, but for those of some witnesses."""
        parts = (part.ranges for part in self.open if part.witness not in but)
        return tuple(sorted(chain.from_iterable(parts)))

    def after_pass(
        self,
        found: Sequence[Range],
        new: Sequence[Range],
        covered: int,
        judge: Judge,
        now: float,
        unread: frozenset[Witness] = NOBODY,
    ) -> tuple[Gaps, tuple[Range, ...]]:
        """The gaps after one pass, and the ranges that it proved dead.

        `found` are the ids of the pass's rows, `new` the gaps that they leave above the position
        of the pass before. `covered` is the greatest id of which the pass proves anything: a
        row's own if its limit cut it off. Nothing is judged above it, nor of the witnesses
        `unread`: those gaps were not asked for, and keep their witness until they are.

        `judge(range, witness)` gives the next witness, None if the gap is dead; the witness it
        gets is None if this pass discovered the gap.
        """
        kept, dead = _Parts(), list[Range]()
        for part in self.open:
            if part.witness in unread:
                kept.append(part)
                continue
            left = _without(part.ranges, found)
            dead += kept.judge(left, part.witness, covered, judge, part.since)
        dead += kept.judge(new, None, covered, judge, now)
        return Gaps(tuple(kept), self._floor_after(covered, judge)), tuple(sorted(dead))

    def afresh(self) -> Gaps:
        """The same with nothing known of any: what was seen before a fault proves nothing."""
        floor = self.floor and replace(self.floor, witness=NOTHING_KNOWN)
        return Gaps(tuple(replace(part, witness=NOTHING_KNOWN) for part in self.open), floor)

    def _floor_after(self, covered: int, judge: Judge) -> Part | None:
        if self.floor is None or self.floor_top > covered:
            return self.floor
        kept = judge(self.floor.ranges[0], self.floor.witness)
        return None if kept is None else replace(self.floor, witness=kept)


class _Parts(list[Part]):
    """Those that are open after a pass, in the order of their discovery."""

    def judge(
        self,
        ranges: Sequence[Range],
        witness: Witness | None,
        covered: int,
        judge: Judge,
        since: float,
    ) -> list[Range]:
        """Add what stays open of a part; the ranges that are dead."""
        by_witness: dict[Witness | None, list[Range]] = {}
        for one in clip(ranges, high=covered):
            by_witness.setdefault(judge(one, witness), []).append(one)
        dead = by_witness.pop(None, [])
        for kept, still in by_witness.items():
            self.append(Part(tuple(still), kept, since))
        if beyond := above(ranges, covered):
            self.append(Part(beyond, NOTHING_KNOWN if witness is None else witness, since))
        return dead

    def append(self, part: Part) -> None:
        """Also joins it to the one before, where nothing tells the two apart."""
        before = self[-1] if self else None
        if (
            before is not None
            and before.witness == part.witness
            and part.since - before.since < SAME_AGE_S
            and before.ranges[-1] < part.ranges[0]
        ):
            self[-1] = replace(before, ranges=before.ranges + part.ranges)
        else:
            super().append(part)


def _without(ranges: tuple[Range, ...], found: Sequence[Range]) -> tuple[Range, ...]:
    """`ranges` without the `found` ids, of which most parts hold none."""
    first = index_at_or_above(found, ranges[0][0])
    after = bisect_left(found, (ranges[-1][1] + 1,))
    return subtract(ranges, found[first:after]) if first < after else ranges
