"""Rows as entries of the log: each body, and the id under which it goes out."""

from __future__ import annotations

from collections.abc import Sequence

from poller.delivery.entry import Entry, KeyedEntry
from poller.delivery.event_log import EventLog
from poller.ids.named import Named
from poller.ids.ranges import Range
from poller.ids.steps import Steps
from poller.polling.report import PollReport
from poller.runtime.hub import in_slices
from poller.wire import event_id, row
from poller.wire.row import KeyedRow, Row


class Encoder:
    """That of one feed. It changes nothing: the poller appends what it gets."""

    def __init__(self, event_log: EventLog, report: PollReport) -> None:
        self._log = event_log
        self._report = report

    def encode(
        self, rows: Sequence[Row], held: Named, taken: Sequence[Range]
    ) -> tuple[list[Entry], Named]:
        """The rows, in id order, as entries of the log; and the worker's set after them.

        `taken` are the ids that come into it: those of the rows, and the dead. All dead below a
        row are in the set that its id names, so that no id lists them. A row costs the same
        whatever the number of gaps.
        """
        if not rows:
            return [], held.then(taken)
        steps = Steps(held, taken, rows[0].id, rows[-1].id)
        entries = [self._entry(new, steps, len(rows)) for new in in_slices(rows)]
        return entries, steps.change.after

    def _entry(self, new: Row, steps: Steps, rows: int) -> Entry:
        body, problem = row.body(new)
        self._report.encoded(new, problem, news=self._log.ready)
        frame = event_id.frame_under(self._log.epoch, steps.token(new.id), body)
        return Entry(new.id, steps.change, rows, steps.mark(new.id), frame, len(body))


class ChangesEncoder(Encoder):
    """That of a feed whose rows may change."""

    def encode(
        self, rows: Sequence[Row], held: Named, taken: Sequence[Range]
    ) -> tuple[list[Entry], Named]:
        """One that was changed while it was read leaves nothing but its id."""
        return super().encode([one for one in rows if not _is_superseded(one)], held, taken)

    def _entry(self, new: Row, steps: Steps, rows: int) -> Entry:
        entry = super()._entry(new, steps, rows)
        if isinstance(new, KeyedRow) and new.key:
            return KeyedEntry.of(entry, row.to_json(new.key))
        return entry


def _is_superseded(read: Row) -> bool:
    return isinstance(read, KeyedRow) and read.is_superseded
