"""The fence: which gaps may still fill?

Most gaps are dead (a rolled-back insert). One that stays open costs a longer query and nothing
else, since nobody waits for it; but an open one must never be closed on a guess if proof can be
had. One pass while a gap is open is, each step its own statement with its own snapshot, in this
order: (1) `look()` at who may own an id, (2) read the rows: those above the position, and those in
the gaps that `must_read()`. What a fence remembers of a gap is its *witness*; a gap without one
left is dead, if the read of step 2 covered it and did not show it.

Here are the grace period, which has no proof, and what fences share. The others are in
`dialects/`, each with its safety argument.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from poller.ids.gaps import NOTHING_KNOWN, Witness
from poller.ids.ranges import Range
from poller.reading.idle import IdleHolders
from poller.reading.snapshot import Reading

Evidence = object


class FenceVoid(Exception):  # noqa: N818 - no fault: the ground has changed
    """What a fence relies on has changed; the table has to be examined again."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: what the fence saw in step 1, whose gaps step 2 did not ask for, what it read."""

    evidence: Evidence | None
    unread: frozenset[Witness]
    reading: Reading


class Fence(Protocol):
    """How one kind of database tells that a gap is dead."""

    name: str

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        """Step 1: what is known before the rows are read. Called only while gaps are open.

        Raises FenceVoid if the database no longer gives what the fence relies on.
        """

    def idle(self, evidence: Evidence) -> bool:
        """Whether nobody could fill any gap at all: each id that step 2 does not show is dead."""

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        """Whether step 2 has to read the gaps of this witness, or nothing can have come of them.

        A gap that is not read is not judged either: it keeps its witness. See `HolderFence`.
        """

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        """The gap's next witness, None if the gap is dead.

        `witness` is None if this pass discovered the gap, `evidence` is None if the pass did not
        look. The witness may come from another fence.
        """

    def holders(self, witness: Witness) -> Iterable[str]:
        """Who may still fill a gap, in words, if that is visible."""


class GracePeriod:
    """No proof: a gap counts as dead once it was seen open for `grace_s` seconds.

    A transaction that holds its id for longer before it commits is lost to the streams that are
    open; its row is in the table all the same. The time runs from the pass that discovered the gap,
    on a clock that is not set (monotonic), and only a pass that read the gap ends it.
    """

    name = "grace period"

    def __init__(self, grace_s: float, clock: Callable[[], float]) -> None:
        self.seconds = grace_s
        self._clock = clock
        self.lacks = (
            f"a row whose transaction stays open for more than {grace_s:g} s after a later row was "
            "committed may be missed by open streams"
        )

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        return None

    def idle(self, evidence: Evidence) -> bool:
        return False

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        return True

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        now = self._clock()
        if not isinstance(witness, float):
            return now
        return witness if now - witness < self.seconds else None

    def holders(self, witness: Witness) -> Iterable[str]:
        return ()


class Holder(NamedTuple):
    """An open transaction that may own an id.

    `key` is its own for as long as it is open, and no later transaction's. One that was prepared
    for a two-phase commit may have changed its key by that. `idle_since` changes, and for good,
    before it takes another id; None if that is not known. See `idle.py`.
    """

    key: str
    label: str
    prepared: bool = False
    idle_since: str | None = None


Keys = frozenset[str]


class HoldersSeen:
    """The evidence of one pass: the transactions that were open before its rows were read.

    `idle` is what earlier passes know of holders that do nothing.
    """

    def __init__(self, holders: Iterable[Holder], idle: IdleHolders | None = None) -> None:
        found = list(holders)
        self.labels = {one.key: one.label for one in found}
        self.keys: Keys = frozenset(self.labels)
        self._prepared: Keys = frozenset(one.key for one in found if one.prepared)
        self._known = idle or IdleHolders()
        self._idle = {one.key: one.idle_since for one in found if one.idle_since is not None}
        self._bounds = self._known.bounds(self._idle)
        self._left: dict[tuple[Witness, int], Keys] = {}  # many gaps have the same witness

    def counted(self, counter: int) -> None:
        """The greatest id ever given out, read after this look."""
        self._known.counted(self._idle, counter)

    def left_of(self, witness: Witness, low: int) -> Keys:
        """The holders of a gap from id `low` that are still there; all of them if none are known of
        it. But none that was idle when the id was given out.

        If one of them is gone, it may have been prepared meanwhile under another key: every
        prepared one then counts.
        """
        idle = bisect_left(self._bounds, (low,))
        if (witness, idle) not in self._left:
            others = frozenset(key for _, key in self._bounds[:idle])
            self._left[witness, idle] = self._there(witness) - others
        return self._left[witness, idle]

    def _there(self, witness: Witness) -> Keys:
        if not isinstance(witness, frozenset):
            return self.keys
        left = self.keys & witness
        return left if left == witness else left | self._prepared


class HolderFence:
    """What fences share that see the open transactions.

    Safety: the owner of a lower id took it before the higher id existed, hence before the gap was
    discovered, and is a holder from then until its commit is visible. The first look after the
    discovery therefore shows it or comes after its commit; each later look keeps it or comes after
    its commit. When no holder of that first look is left, the owner's commit or rollback was
    visible before step 2, which did not show the id.

    Where keys last, a gap is read only when one of its holders has gone. Safety: its witness is
    what was left of its holders at the last look before a read that covered it (until then nothing
    is known of it, and it is read). So its owner is in it, or had ended before that look, and
    the read showed its row. While all of the witness are there at a look, the owner still had its
    lock: at most it was just committing. The next look lacks it, and then the gap is read: a row
    comes one poll later at most. A gap that is not read keeps its witness, so that "has gone" is
    always said against the gap's own last read; a pass that its limit cut off below a gap takes
    nothing from that.

    Keys last if none is used again while a gap remembers it. A later transaction under the owner's
    key would hide the row that the owner committed for as long as it is open, where a judgement
    alone would only be put off. A fence whose keys last says so in `keys_last`, and why.
    """

    keys_last = False
    _labels: Mapping[str, str] = MappingProxyType({})

    def idle(self, evidence: Evidence) -> bool:
        return isinstance(evidence, HoldersSeen) and not evidence.keys

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        # A gap that nobody holds, or of which nothing is known, is always read.
        if not (self.keys_last and witness and isinstance(witness, frozenset)):
            return True
        return not (isinstance(evidence, HoldersSeen) and witness <= evidence.keys)

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        if witness is None or not isinstance(evidence, HoldersSeen):
            return NOTHING_KNOWN if witness is None else witness
        self._labels = evidence.labels
        low = gap[0] if self.keys_last else 0  # what is known of the idle goes by their keys
        return evidence.left_of(witness, low) or None

    def holders(self, witness: Witness) -> Iterable[str]:
        keys = witness if isinstance(witness, frozenset) else ()
        return sorted(self._labels.get(key, key) for key in keys)
