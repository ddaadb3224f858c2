"""Ids that were given out ahead of the newest row: a bulk that nobody has committed yet.

A poll asks for what is above its position, and the database passes over every row there that it may
not show. A million of them, inserted and not committed, cost each poll what they cost the first; of
very many a poll does not come to the end in its time. So what one read has passed over is not read
again while all who may own it are there: as a gap is not, by the same proof (`HolderFence`), though
no row lies above it. Once one lies there, it is a gap, which is discovered then.

Safety. An id up to the counter was given out before the counter was read. So its owner is seen by
the next look, or has ended before that, and then the read after that look shows its row: what is
ahead is "discovered" by the read of the counter, as a gap is by the row above it. That nothing of
it can come any more is a reason not to read it; nobody counts it as delivered by that. A fault, and
a counter that falls, make all of it unknown. Only for fences whose witnesses show every owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from poller.ids.cursor import Cursor
from poller.ids.gaps import NOBODY, Gaps, Judge, Witness
from poller.ids.ranges import MAX_ID, Range, above, ranges_of
from poller.reading.snapshot import Reading
from poller.wire.row import is_cut_off

NO_GAPS = Gaps()
MANY_IDS = 10_000  # a walk over fewer costs no more than the look that would save it


@dataclass(frozen=True, slots=True)
class Ahead:
    """The ids between the position and `top` that one read has passed over. Immutable."""

    gaps: Gaps = NO_GAPS
    top: int = 0

    def beyond(self, position: int) -> Ahead:
        """What of it is still ahead of a position that has moved."""
        if not self.gaps.open or position >= self.top:
            return Ahead()
        left = (replace(one, ranges=above(one.ranges, position)) for one in self.gaps.open)
        return Ahead(Gaps(tuple(one for one in left if one.ranges)), self.top)

    def asked(self, cursor: Cursor, unread: frozenset[Witness]) -> Cursor:
        """The cursor to read with: it leaves out what these witnesses own, as if delivered."""
        owned = Gaps(tuple(one for one in self.gaps.open if one.witness in unread))
        return cursor.retire(owned.ranges())

    def after(
        self,
        reading: Reading,
        position: int,
        limit: int,
        judge: Judge,
        unread: frozenset[Witness] = NOBODY,
    ) -> Ahead:
        """What is ahead after a read of the ids above `position`, but for those `unread`."""
        rows, counter = reading.rows, reading.counter
        if counter is None or counter < self.top:
            return Ahead()
        full = is_cut_off(rows, limit)
        known = max(self.top, position, rows[-1].id if rows else 0)
        new: Sequence[Range] = ()
        if not full and counter - known >= MANY_IDS:
            new = ((known + 1, counter),)
        if not new and not self.gaps.open:  # as nearly always
            return self
        found = above(ranges_of(row.id for row in rows), position)
        covered = rows[-1].id if full else MAX_ID
        gaps, _ = self.gaps.after_pass(found, new, covered, judge, 0.0, unread)
        return Ahead(gaps, counter if new else self.top)
