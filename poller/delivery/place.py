"""Where one client stands in the log, and what it has: what it lacks follows from that.

It knows no request, no notices and no socket; `subscriber.py` decides what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from poller.delivery.event_log import NOTHING, EventLog
from poller.delivery.page import Page
from poller.delivery.replay import Replayed, lacking, replay
from poller.delivery.view_index import OpenView
from poller.ids.named import Named
from poller.ids.ranges import Range, clip, intersect, subtract
from poller.wire import event_id
from poller.wire.event_id import Resume

REPLAY_ENTRIES = 256  # entries looked at before others get their turn


class Doubts(NamedTuple):
    """Ids below the log's floor, for few clients: see `Place`."""

    unproven: tuple[Range, ...] = ()
    waits_for: tuple[Range, ...] = ()
    as_of: tuple[int, ...] = ()  # when the table was asked about these


NO_DOUBTS = Doubts()


@dataclass(slots=True, eq=False)
class Place:
    """A client's place in one generation of the log, in a view.

    `held` is what it has: while it is live, as of `seq`, though there may be more rows since of
    other views.
    """

    log: EventLog
    opened: OpenView
    generation: int = 0  # 0: nowhere yet
    held: Named = NOTHING
    seq: int = 0
    live: bool = False
    _doubts: Doubts = NO_DOUBTS
    _base_position: int = 0  # the log's, when the ring had all of the view from `seq` on

    def begin(self, held: Named, seq: int | None) -> None:
        """In the log as it is now; `seq` is where the client is live, None if it is not."""
        self.generation = self.log.generation
        self.held, self.live, self._doubts = held, seq is not None, NO_DOUBTS
        self.seq = self.log.oldest if seq is None else seq
        self._base_position = self.log.base_position

    def resume(self, resume: Resume) -> str:
        """Where a client with what `resume` says goes on. Returns what that takes: nothing but what
        is in the `log` from there on, what the `ring` has, or the `table`."""
        named = Named.of(resume.cursor)
        # Only who has exactly what the worker had may go on with the log's own bytes.
        mark = named.mark if resume.mark is None else resume.mark
        seq, held = self.log.locate(named.position, mark) or (None, named)
        self.begin(held, seq)
        self.doubt(clip(held.cursor.holes, high=self.log.floor))
        return "log" if self.live else "table" if self.missing() else "ring"

    def doubt(self, unproven: tuple[Range, ...]) -> None:
        """Of these ids, which the client lacks, nobody knows yet whether they will appear."""
        self._doubts = Doubts(unproven) if unproven else NO_DOUBTS

    @property
    def waits_for(self) -> tuple[Range, ...]:
        """Those of them that the table did not show."""
        return self._doubts.waits_for

    @property
    def prefix(self) -> str:
        """What stands in its ids before the token."""
        return self.opened.prefix(self.log.epoch)

    def frame(self, lines: bytes) -> bytes:
        """The frame of an event that says where the client stands."""
        token = self.log.shared(("token", self.held), self.held.token)
        return event_id.frame_under(self.prefix, token, lines)

    @property
    def is_here(self) -> bool:
        """Whether it is in the log's present generation."""
        return self.generation == self.log.generation

    @property
    def is_live(self) -> bool:
        """Whether what the client lacks are the log's own bytes from `seq` on."""
        return self.live and self.is_here and self._is_in_ring

    @property
    def _is_in_ring(self) -> bool:
        """Whether no row of the view has left the ring since `seq`."""
        return self.seq >= self.log.oldest or self.seq >= self.opened.gone

    @property
    def has_all(self) -> bool:
        """Whether there is no row of the view from `seq` on."""
        return self.seq >= self.log.views.last(self.opened)

    def pass_others(self) -> bool:
        """Count rows of other views as delivered; whether there were any. A live client that has
        all rows of its own stands at the head then."""
        if self.seq == self.log.head or not (self.is_live and self.has_all):
            return False
        self.seq, self.held = self.log.head, self.log.tip
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
        if not self.log.floor:
            self._doubts = NO_DOUBTS
        elif self.waits_for and self._doubts.as_of != self.log.as_of:
            self._doubts = Doubts(self._doubts.unproven)
        if not self._is_in_ring:
            self.seq, self._base_position = self.log.oldest, self.log.base_position
        held, base_position = self.held, self._base_position
        question = "missing", self.log.held, base_position, held, self.waits_for
        return self.log.shared(question, self._missing)

    def _missing(self) -> Sequence[Range]:
        base = self.log.cursor.upto(self._base_position)
        return subtract(base.difference(self.held.cursor), self.waits_for)

    def known(self, low: int, high: int) -> tuple[Range, ...]:
        """Of these ids, those that have left the ring: all that the table may be asked for."""
        return subtract(((low, high),), self.log.base.holes)

    def take_page(self, page: Page, as_of: tuple[int, ...]) -> bytes:
        """The frames of a page's rows, which the client lacks; it has them from here on."""
        unproven = self._doubts.unproven
        chunk, self.held = page.framed(self.prefix, self.held, unproven)
        still_open = clip(self.held.cursor.holes, high=page.upto)
        if unproven:
            self._doubts = Doubts(unproven, intersect(unproven, still_open), as_of)
        return chunk

    def take_replay(self) -> Replayed | None:
        """The next rows of the ring that the client lacks; it has them from here on. None if the
        log began anew meanwhile: others have their turn here."""
        self.seq = max(self.seq, self.log.oldest)
        head, view, prefix = self.log.head, self.opened.view, self.prefix
        rows = self.log.rows(self.opened, self.seq, REPLAY_ENTRIES)
        entries = [entry for _, entry in rows]
        # A seq is that of one row for ever, and of one batch. The view itself: other views may have
        # its tag, and so its prefix, and whoever may choose values finds them in seconds.
        question = "replay", view, prefix, self.seq, len(rows), self.held, self.waits_for
        replayed = self.log.shared(
            question, lambda: replay(view, prefix, self.held, entries, self.waits_for)
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
        self.seq = self.log.head
        question = "settled", self.log.held, self.held, self.waits_for
        self.held = self.log.shared(question, self._settled)
        self.live = self.held.mark == self.log.held.mark

    def _settled(self) -> Named:
        both = self.held.then(lacking(self.held, self.log.held, self.waits_for))
        return self.log.held if both.mark == self.log.held.mark else both
