"""Where one client stands in the log, and what it has: what it lacks follows from that.

It knows no request, no notices and no socket; `subscriber.py` decides what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poller.delivery.event_log import NOTHING, EventLog
from poller.delivery.page import Page
from poller.delivery.replay import Replayed, lacking, replay
from poller.ids.named import Named
from poller.ids.ranges import Range, clip, intersect, subtract

REPLAY_ENTRIES = 256  # entries looked at before others get their turn


@dataclass(slots=True, eq=False)
class Place:
    """A client's place in one generation of the log.

    `held` is what it has: while it is live, as of `seq`. `unproven` are ids below the log's floor
    that it lacks, `waits_for` those of them that the table did not show.
    """

    _log: EventLog
    generation: int = 0  # 0: nowhere yet
    epoch: str = ""  # that generation's; while a page is read the log's may change
    held: Named = NOTHING
    seq: int = 0
    live: bool = False
    unproven: tuple[Range, ...] = ()
    waits_for: tuple[Range, ...] = ()
    _as_of: tuple[int, ...] = ()  # when the table was asked about `waits_for`

    def begin(self, held: Named, seq: int | None) -> None:
        """In the log as it is now; `seq` is where the client is live, None if it is not."""
        self.generation, self.epoch = self._log.generation, self._log.epoch
        self.held, self.live, self.unproven, self.waits_for = held, seq is not None, (), ()
        self.seq = self._log.oldest if seq is None else seq

    @property
    def is_here(self) -> bool:
        """Whether it is in the log's present generation."""
        return self.generation == self._log.generation

    @property
    def is_live(self) -> bool:
        """Whether what the client lacks are the log's own bytes from `seq` on."""
        return self.live and self.is_here and self.seq >= self._log.oldest

    @property
    def at_head(self) -> bool:
        return self.seq == self._log.head

    def missing(self) -> Sequence[Range]:
        """What the client lacks of the rows that have left the ring.

        Ids that the table does not show can never appear, and then count as delivered. Not so below
        the log's floor, where a transaction older than this worker may still bring them: they stay
        open in the client's set, and are asked for again every second, and once more when the
        floor is gone.
        """
        if not self._log.floor:
            self.unproven = self.waits_for = ()
        elif self._as_of != self._log.as_of:
            self.waits_for = ()
        question = "missing", self._log.held, self._log.oldest, self.held, self.waits_for
        return self._log.shared(question, self._missing)

    def _missing(self) -> Sequence[Range]:
        return subtract(self._log.base.difference(self.held.cursor), self.waits_for)

    def take_page(self, page: Page, as_of: tuple[int, ...]) -> bytes:
        """The frames of a page's rows, which the client lacks; it has them from here on."""
        chunk, self.held = page.framed(self.epoch, self.held, self.unproven)
        still_open = clip(self.held.cursor.holes, high=page.upto)
        self.waits_for, self._as_of = intersect(self.unproven, still_open), as_of
        return chunk

    def take_replay(self) -> Replayed | None:
        """The next rows of the ring that the client lacks; it has them from here on. None if the
        log began anew meanwhile: others have their turn here."""
        self.seq = max(self.seq, self._log.oldest)
        entries = self._log.entries(self.seq, REPLAY_ENTRIES)
        # A seq is that of one row for ever, and of one batch.
        question = "replay", self.epoch, self.seq, len(entries), self.held, self.waits_for
        replayed = self._log.shared(
            question, lambda: replay(self.epoch, self.held, entries, self.waits_for)
        )
        if not self.is_here:
            return None
        self.held = replayed.held
        self.seq += replayed.entries
        return replayed

    def settle(self) -> None:
        """At the head the client has every row: what else the worker's set holds is dead. If the
        two are the same then, the client is live; it may be ahead, or wait for ids."""
        question = "settled", self._log.held, self.held, self.waits_for
        self.held = self._log.shared(question, self._settled)
        self.live = self.held.mark == self._log.held.mark

    def _settled(self) -> Named:
        both = self.held.then(lacking(self.held, self._log.held, self.waits_for))
        return self._log.held if both.mark == self._log.held.mark else both
