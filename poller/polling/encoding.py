"""Rows as entries of the log: each body, and the id under which it goes out."""

from __future__ import annotations

from collections.abc import Sequence

from poller.delivery.event_log import Entry, EventLog
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range
from poller.polling.report import PollReport
from poller.runtime.hub import in_slices
from poller.wire import event_id, row
from poller.wire.row import Row


class Encoder:
    """That of one feed. It changes nothing: the poller appends what it gets."""

    def __init__(self, event_log: EventLog, report: PollReport) -> None:
        self._log = event_log
        self._report = report

    def encode(
        self, rows: list[Row], cursor: Cursor, dead: Sequence[Range]
    ) -> tuple[list[Entry], Cursor]:
        """The rows as entries of the log, each under the cursor that holds everything up to it, and
        the cursor after them. The dead are retired as the rows pass them: no id names them."""
        entries: list[Entry] = []
        named = cursor.nameable()
        passed = 0
        for new in in_slices(rows):
            while passed < len(dead) and dead[passed][1] < new.id:
                cursor = cursor.retire(dead[passed : passed + 1])
                named = named.retire(dead[passed : passed + 1])
                passed += 1
            cursor, named = cursor.add(new.id), named.add(new.id)
            entries.append(self._entry(new, cursor, named))
        return entries, cursor.retire(dead[passed:])

    def _entry(self, new: Row, cursor: Cursor, named: Cursor) -> Entry:
        """`named` is `cursor`, or the part of it that a token has room for."""
        body, problem = row.body(new)
        self._report.encoded(new, problem, news=self._log.ready)
        frame = event_id.frame(self._log.epoch, named, body)
        return Entry(new.id, cursor, frame, len(body))
