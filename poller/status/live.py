"""The status as a stream: a feed of the library's own kind, whose rows are reports.

While anybody looks, one report a second is made, for all who look at this worker; while nobody
does, none. A stream begins "from now", whatever its client had: a report is only worth what is new.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from poller.access.admission import Admission
from poller.delivery.entry import Entry
from poller.delivery.event_log import EventLog
from poller.delivery.table_rows import FoundRows, OtherHistory
from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.ids.steps import Steps
from poller.runtime import log
from poller.runtime.recurring import Recurring
from poller.runtime.settings import Settings
from poller.serving.streams import Streams
from poller.status.hour import hour_of
from poller.status.look import Look
from poller.status.report import report
from poller.wire import epoch, event_id, row, sse

LABEL = "rowcast/status"  # no feed has this one
EVERY_S = 1.0
HOUR_EVERY_S = 10.0
LOOKERS = 50  # in one worker; beside the places of streams, which may all be taken
KEPT = 2  # reports in the log, for clients that are slow


class Live(Recurring):
    """That of one service. `look` sees the machine."""

    def __init__(self, look: Look, settings: Settings) -> None:
        super().__init__()
        self._look = look
        self.admission = Admission(LOOKERS, per_address=0, of="looks at the status")
        self._log = EventLog(KEPT, 2**20)
        self._log.begin(secrets.token_hex(epoch.NAME_DIGITS // 2), Named.of(Cursor()))
        self._log.passed(None)
        self.streams = Streams(LABEL, self._log, _no_page, settings, self._begin, str)
        self._hour_at = float("-inf")

    def _begin(self) -> None:
        """Somebody looks, and nobody did."""
        self._hour_at = float("-inf")
        if self.started:
            self.wake()
        else:
            self.start()

    def report(self, *, hour: bool) -> dict[str, Any]:
        """What is so now, with the lines of the plots or without."""
        machine = self._look.machine()
        told = report(machine)
        return {**told, "hour": hour_of(machine)} if hour else told

    def report_once(self) -> dict[str, Any]:
        """For whoever asks once: with the other workers as they are now, and the hour."""
        self._look.ask()
        told = self.report(hour=True)
        if not self.streams:
            self._look.end()
        return told

    def once(self) -> float | None:
        """Make a report for those who look; wait if nobody does."""
        if not self.streams:
            self._look.end()
            return None
        now = time.monotonic()
        hour = now - self._hour_at >= HOUR_EVERY_S
        self._append(self.report(hour=hour))
        if hour:
            self._hour_at = now
        return EVERY_S

    def _append(self, told: Mapping[str, Any]) -> None:
        held, number = self._log.held, self._log.held.position + 1
        steps = Steps(held, [(number, number)], number, number)
        lines = sse.fields(row.to_json(dict(told)))
        frame = event_id.frame_under(self._log.epoch, steps.token(number), lines)
        entry = Entry(number, steps.change, 1, steps.mark(number), frame, len(lines))
        self._log.extend([entry], steps.change.after)

    def _on_failure(self, error: Exception) -> None:
        if not self._failures:
            log.error("status failed", exc_info=error)

    def _on_recovery(self) -> None:
        log.info("status recovered", failures=self._failures)


def _no_page(*_: object) -> FoundRows:
    raise OtherHistory("a report that is gone is not made again")
