"""The grace period first, then a proof: where ids are used later than they are taken.

A program that takes ids in blocks, a connection that keeps some in its cache, an application that
makes its own: each inserts a row whose id is lower than one that was seen already, and holds no
lock when it is. No look at the open transactions proves anything of such an id, but most are used
soon. So for the grace period a gap stays open whatever is seen; from then on whoever is at work is
waited for to the end, as if the gap were discovered only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from poller.ids.gaps import NOTHING_KNOWN, Witness
from poller.ids.ranges import Range
from poller.reading.fence import Evidence, Fence, GracePeriod

OVER = "the grace period is over"  # a witness; the next look counts


class AfterGrace:
    """A gap is dead when the grace period is over and then the locks say so.

    Safety: a row is lost only if its transaction was not yet a holder when the grace period ended:
    if its INSERT began later than that.
    """

    def __init__(self, grace: GracePeriod, locks: Fence) -> None:
        self.name = f"grace period, then {locks.name}"
        self._grace = grace
        self._locks = locks
        self.lacks = lacks(grace)

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        return self._locks.look(connection, gaps)

    def idle(self, evidence: Evidence) -> bool:
        return False

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        return True  # a row may come of one who is no holder yet, and does not wait for those

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        """The witness is a time while the grace period runs, then that of the locks."""
        if witness is None or witness is NOTHING_KNOWN or isinstance(witness, float):
            return self._grace.judge(gap, witness, evidence) or OVER
        if witness is not OVER:
            return self._locks.judge(gap, witness, evidence)
        # This pass has looked after the period's end.
        left = self._locks.judge(gap, NOTHING_KNOWN, evidence)
        return OVER if left is NOTHING_KNOWN else left

    def holders(self, witness: Witness) -> Iterable[str]:
        return self._locks.holders(witness)


def lacks(grace: GracePeriod) -> str:
    """What is not promised then."""
    return (
        f"a row whose INSERT begins more than {grace.seconds:g} s after a later row was committed "
        "may be missed by open streams"
    )
