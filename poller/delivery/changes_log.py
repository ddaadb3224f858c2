"""The event log of a feed whose rows may change: of each row it sends the newest state alone.

A row's state comes under a new version, and the one before is void: it may not be sent any more.
Neither may a client get a state that is older than one it had. Within the log that is a matter of
order: each poll reads a row in one state, so of two entries of a row the later one is newer. As it
comes in, the one before is left without a frame: whoever lacks its id has it by that, as a gap that
is dead.

A client that comes from another worker may hold a newer state than this worker has read. So a
client that lacks ids below its own position is placed only after a *thorough* pass that began when
it was there: one that found all there is, and left no gap unread. The argument:

- What the client holds was committed when it came, so that pass saw it, or what had followed it.
  From then on an entry that has a frame is its row's state as of that pass, or a newer one.
- What the client lacks of the ids that have left the ring is read from the table. A page may be
  kept for others, but no longer than the log is as it was (`as_of`): if a row has changed after the
  page was read, and a client has seen that, the log had it by the end of that client's pass.
- An id that this worker counts as delivered was seen, or can never appear. Either way no later read
  shows its row in an older state. So whatever comes after a place in the log, or after a page, is
  not older than what a client had there.

A client that lacks nothing below its position needs no such pass: all that it lacks is newer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from gevent.event import Event

from poller.delivery.entry import Entry, KeyedEntry
from poller.delivery.event_log import EventLog
from poller.ids.marks import toggled
from poller.ids.named import Named
from poller.wire.event_id import Resume

STALE_KEYS = 1000  # of rows that have left the ring; then they are looked for, and forgotten


class ChangesLog(EventLog):
    """The ring, and where the newest entry of each row is in it."""

    def __init__(
        self, capacity_rows: int, capacity_bytes: int, filters: Sequence[str] = ()
    ) -> None:
        super().__init__(capacity_rows, capacity_bytes, filters)
        self._newest: dict[str, int] = {}  # a row's key → the seq of its entry
        self._begun = self._thorough = 0  # of the thorough passes: how many began, the last ended
        self._wanted = 0  # this one, and those before it
        self._is_thorough = False
        self.wanted: Callable[[], object] = lambda: None  # called when such a pass is waited for

    # -- the poller's side ------------------------------------------------------------------

    def extend(self, entries: Iterable[Entry], held: Named, floor: int = 0) -> None:
        batch = [*entries]
        for at, entry in enumerate(batch):
            if isinstance(entry, KeyedEntry):
                self._supersede(entry.key, batch)
                self._newest[entry.key] = self.head + at
        super().extend(batch, held, floor)
        if len(self._newest) > len(self._entries) + STALE_KEYS:
            oldest = self.oldest
            self._newest = {key: seq for key, seq in self._newest.items() if seq >= oldest}

    def _supersede(self, key: str, batch: list[Entry]) -> None:
        """Take the frame from the row's entry, if it has one in the ring or in `batch`."""
        seq = self._newest.get(key, -1)
        if seq >= self.head:
            batch[seq - self.head] = _without_frame(batch[seq - self.head])
        elif seq >= self.oldest:
            at = seq - self.oldest
            before, after = self._entries[at], _without_frame(self._entries[at])
            self._entries[at] = after
            self._bytes += after.size_bytes - before.size_bytes

    def begins_pass(self) -> bool:
        """Whether the pass that begins now has to be thorough. The poller calls it before each."""
        self._is_thorough = self._thorough < self._wanted
        self._begun += self._is_thorough
        return self._is_thorough

    def passed(self, counter: int | None) -> None:
        if self._is_thorough:
            self._thorough = self._begun
        super().passed(counter)

    # -- the streams' side ------------------------------------------------------------------

    @property
    def as_of(self) -> tuple[int, ...]:
        # Rows come below the floor that the log never has.
        return *super().as_of, self.head, self.complete_passes if self.floor else 0

    @property
    def passes_begun(self) -> int:
        """How many thorough passes have begun."""
        return self._begun

    def has_passed_since(self, begun: int) -> bool:
        """Whether a thorough pass has ended that began after so many."""
        return self._thorough > begun

    def await_thorough_pass(self, listener: Event) -> None:
        """Have one made, and set `listener` after it, and after each complete one before it."""
        self._wanted = self._begun + 1
        self.await_pass(listener)
        self.wanted()

    def may_hold_newer(self, resume: Resume) -> bool:
        """Whether a client may have newer states of rows that it lacks older ones of, and comes
        from no place of this log."""
        cursor = resume.cursor
        if not cursor.gaps:
            return False
        mark = toggled(cursor.holes) if resume.mark is None else resume.mark
        return self.locate(cursor.position, mark) is None


def _without_frame(entry: Entry) -> Entry:
    return replace(entry, frame=b"", id_at=0)
