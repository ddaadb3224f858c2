"""The fence: which gaps may still fill?

Most gaps are dead (a rolled-back insert). One that stays open costs a longer query and nothing
else, since nobody waits for it; but an open one must never be closed on a guess where proof can be
had. One pass while a gap is open is, each step its own statement with its own snapshot, in this
order: (1) `look()` at the holders, (2) read the rows. What a fence remembers of a gap is its
*witness*; a gap without one left is dead, if the read of step 2 covered it and did not show it.

The bookkeeping (`Gaps`) is pure; the fences ask the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from poller.cursor import Range

Witness = object
Evidence = object


class Fence(Protocol):
    """How one kind of database tells that a gap is dead."""

    name: str
    degraded: str  # why the proof is missing; empty where there is one

    def look(self, connection: Connection) -> Evidence:
        """Step 1: what is known before the rows are read. Called only while gaps are open."""

    def judge(self, witness: Witness | None, evidence: Evidence) -> Witness | None:
        """The gap's next witness, None where the gap is dead.

        `witness` is None for a gap that this pass discovered: its evidence is then older than the
        gap.
        """


class SingleWriter:
    """SQLite: no gap can fill.

    There is one writer at a time, and it takes its ids after it took the write lock, which it holds
    to the end of its transaction. So commit order is id order: whoever sees id 7 sees every id
    below it that will ever be. With AUTOINCREMENT no id is given out twice.
    """

    name = "single writer"
    degraded = ""

    def look(self, connection: Connection) -> Evidence:
        return None

    def judge(self, witness: Witness | None, evidence: Evidence) -> Witness | None:
        return None


class GracePeriod:
    """No proof: a gap counts as dead once it was seen open for `grace_s` seconds.

    A transaction that holds its id for longer before it commits is lost to the streams that are
    open; its row is in the table all the same. The time runs from the pass that discovered the gap,
    on a clock that is not set (monotonic), and only a pass that read the gap ends it.
    """

    name = "grace period"

    def __init__(self, grace_s: float, clock: Callable[[], float], degraded: str) -> None:
        self._grace_s = grace_s
        self._clock = clock
        self.degraded = degraded

    def look(self, connection: Connection) -> Evidence:
        return None

    def judge(self, witness: Witness | None, evidence: Evidence) -> Witness | None:
        now = self._clock()
        if not isinstance(witness, float):
            return now
        return witness if now - witness < self._grace_s else None


def fence_for(dialect: str, grace_s: float, clock: Callable[[], float]) -> Fence:
    """The best fence for a database."""
    if dialect == "sqlite":
        return SingleWriter()
    return GracePeriod(
        grace_s,
        clock,
        f"a row whose transaction stays open for more than {grace_s:g} s after a later row was "
        "committed may be missed by open streams",
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """A range of ids below the position that was not seen, and what may still fill it."""

    low: int
    high: int
    witness: Witness


@dataclass(frozen=True, slots=True)
class Gaps:
    """The open gaps in id order. Pure and immutable."""

    open: tuple[Gap, ...] = ()

    def after_pass(
        self,
        ranges: Sequence[Range],
        covered: int,
        judge: Callable[[Witness | None], Witness | None],
    ) -> tuple[Gaps, tuple[Range, ...]]:
        """The gaps after one pass, and the ranges that it proved dead.

        `ranges` are the gaps of the cursor with this pass's rows in it: each lies in one gap that
        was open before or in none, since rows only split gaps. `covered` is the greatest id that
        the pass would have shown, a row's own where its limit cut it off, so that no gap lies
        across it; above it, the pass proves nothing and nothing is judged.
        """
        still: list[Gap] = []
        dead: list[Range] = []
        before = iter(self.open)
        gap = next(before, None)
        for low, high in ranges:
            while gap is not None and gap.high < low:
                gap = next(before, None)
            witness = gap.witness if gap is not None and gap.low <= low else None
            if low > covered:
                if witness is not None:
                    still.append(Gap(low, high, witness))
                continue
            if (kept := judge(witness)) is None:
                dead.append((low, high))
            else:
                still.append(Gap(low, high, kept))
        return Gaps(tuple(still)), tuple(dead)
