"""Where one client stands in the log, and what it has: what it lacks follows from that.

It knows no request, no notices and no socket; `subscriber.py` decides what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poller.delivery.event_log import NOTHING, EventLog
from poller.delivery.page import Page
from poller.delivery.replay import Replayed, lacking, replay
from poller.delivery.view_index import OpenView
from poller.ids.named import Named
from poller.ids.ranges import Range, clip, intersect, subtract

REPLAY_ENTRIES = 256  # entries looked at before others get their turn


@dataclass(slots=True, eq=False)
class Place:
    """A client's place in one generation of the log, in a view.

    `held` is what it has: while it is live, as of `seq`, though there may be more rows since of
    other views. `unproven` are ids below the log's floor that it lacks, `waits_for` those of them
    that the table did not show.
    """

    _log: EventLog
    opened: OpenView
    generation: int = 0  # 0: nowhere yet
    prefix: str = ""  # of ids, in that generation; while a page is read the log's may change
    held: Named = NOTHING
    seq: int = 0
    live: bool = False
    unproven: tuple[Range, ...] = ()
    waits_for: tuple[Range, ...] = ()
    _as_of: tuple[int, ...] = ()  # when the table was asked about `waits_for`
    _base_position: int = 0  # the log's, when the ring had all of the view from `seq` on

    def begin(self, held: Named, seq: int | None) -> None:
        """In the log as it is now; `seq` is where the client is live, None if it is not."""
        self.generation, self.prefix = self._log.generation, self.opened.prefix(self._log.epoch)
        self.held, self.live, self.unproven, self.waits_for = held, seq is not None, (), ()
        self.seq = self._log.oldest if seq is None else seq
        self._base_position = self._log.base_position

    @property
    def is_here(self) -> bool:
        """Whether it is in the log's present generation."""
        return self.generation == self._log.generation

    @property
    def is_live(self) -> bool:
        """Whether what the client lacks are the log's own bytes from `seq` on."""
        return self.live and self.is_here and self._is_in_ring

    @property
    def _is_in_ring(self) -> bool:
        """Whether no row of the view has left the ring since `seq`."""
        return self.seq >= self._log.oldest or self.seq >= self.opened.gone

    @property
    def has_all(self) -> bool:
        """Whether there is no row of the view from `seq` on."""
        return self.seq >= self._log.views.last(self.opened)

    def pass_others(self) -> bool:
        """Count rows of other views as delivered; whether there were any. A live client that has
        all rows of its own stands at the head then."""
        if self.seq == self._log.head or not (self.is_live and self.has_all):
            return False
        self.seq, self.held = self._log.head, self._log.tip
        return True

    def missing(self) -> Sequence[Range]:
        """What the client lacks of the rows that have left the ring, rows of other views among
        them: nobody knows whose they were. Not so those that left while it caught up, as long as
        none of them was of its view.

        Ids that the table does not show can never appear, and then count as delivered. Not so below
        the log's floor, where a transaction older than this worker may still bring them: they stay
        open in the client's set, and are asked for again every second, and once more when the
        floor is gone.
        """
        if not self._log.floor:
            self.unproven = self.waits_for = ()
        elif self._as_of != self._log.as_of:
            self.waits_for = ()
        if not self._is_in_ring:
            self.seq, self._base_position = self._log.oldest, self._log.base_position
        held, base_position = self.held, self._base_position
        question = "missing", self._log.held, base_position, held, self.waits_for
        return self._log.shared(question, self._missing)

    def _missing(self) -> Sequence[Range]:
        base = self._log.cursor.upto(self._base_position)
        return subtract(base.difference(self.held.cursor), self.waits_for)

    def known(self, low: int, high: int) -> tuple[Range, ...]:
        """Of these ids, those that have left the ring: all that the table may be asked for."""
        return subtract(((low, high),), self._log.base.holes)

    def take_page(self, page: Page, as_of: tuple[int, ...]) -> bytes:
        """The frames of a page's rows, which the client lacks; it has them from here on."""
        chunk, self.held = page.framed(self.prefix, self.held, self.unproven)
        still_open = clip(self.held.cursor.holes, high=page.upto)
        self.waits_for, self._as_of = intersect(self.unproven, still_open), as_of
        return chunk

    def take_replay(self) -> Replayed | None:
        """The next rows of the ring that the client lacks; it has them from here on. None if the
        log began anew meanwhile: others have their turn here."""
        self.seq = max(self.seq, self._log.oldest)
        head, view = self._log.head, self.opened.view
        rows = self._log.rows(self.opened, self.seq, REPLAY_ENTRIES)
        entries = [entry for _, entry in rows]
        # A seq is that of one row for ever, and of one batch.
        question = "replay", self.prefix, self.seq, len(rows), self.held, self.waits_for
        replayed = self._log.shared(
            question, lambda: replay(view, self.prefix, self.held, entries, self.waits_for)
        )
        if not self.is_here:
            return None
        self.held = replayed.held
        if replayed.entries:
            self.seq = rows[replayed.entries - 1][0] + 1
        if len(rows) < REPLAY_ENTRIES and replayed.entries == len(rows):
            self.seq = head
        return replayed

    def settle(self) -> None:
        """A client that has every row: what else the worker's set holds is dead, or of another
        view. If the two are the same then, the client is live; it may be ahead, or wait for ids."""
        self.seq = self._log.head
        question = "settled", self._log.held, self.held, self.waits_for
        self.held = self._log.shared(question, self._settled)
        self.live = self.held.mark == self._log.held.mark

    def _settled(self) -> Named:
        both = self.held.then(lacking(self.held, self._log.held, self.waits_for))
        return self._log.held if both.mark == self._log.held.mark else both
