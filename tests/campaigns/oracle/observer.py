"""What a worker does, written down from inside it: its passes over the table, and its hub's turns.

Nothing of this is in the product: `served_app.py` plants it. It wraps what the poller calls, and
changes nothing.
"""

import os
import time
from pathlib import Path
from typing import Any

import gevent

from poller.delivery.event_log import EventLog
from poller.polling.loop import Poller
from poller.polling.report import PollReport
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.patches import patch
from tests.campaigns.oracle.records import Beat, Pass, now_s, payload_of

VARIABLE = "OBSERVED_IN"  # the folder of the journal
BEAT_S = 0.01
WORTH_A_LINE_S = 0.01


class Observer:
    """One for each worker: made before the fork, it opens its journal at the first pass.

    Without `beats` it says nothing of the hub: nobody polls but a test, by hand.
    """

    def __init__(self, folder: Path, *, beats: bool = True) -> None:
        self._folder = folder
        self._beats = beats
        self._journal: Journal | None = None
        self._worker = ""
        self._life = 0
        self._gaps = 0
        self._payloads: list[str] = []
        self._reset = False

    def plant(self) -> None:
        patch(Poller, "poll", self._around_poll)
        patch(EventLog, "begin", self._around_begin)
        patch(PollReport, "encoded", self._around_encoded)
        patch(PollReport, "reset", self._around_reset)
        patch(PollReport, "gaps", self._around_gaps)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _around_poll(self, poll: Any) -> Any:
        def observed(poller: Poller) -> float:
            self._open()
            self._payloads, self._reset = [], False
            began_s = now_s()
            delay_s: float = 0.0
            try:
                delay_s = poll(poller)
            finally:
                self._write(began_s, complete=delay_s > 0 and not self._reset)
            return delay_s

        return observed

    def _around_begin(self, begin: Any) -> Any:
        def observed(*given: Any, **named: Any) -> Any:
            self._life += 1
            return begin(*given, **named)

        return observed

    def _around_encoded(self, encoded: Any) -> Any:
        def observed(report: PollReport, row: Any, *given: Any, **named: Any) -> Any:
            self._payloads.append(payload_of(str((row.columns or {}).get("body"))))
            return encoded(report, row, *given, **named)

        return observed

    def _around_reset(self, reset: Any) -> Any:
        def observed(*given: Any, **named: Any) -> Any:
            self._reset = True
            return reset(*given, **named)

        return observed

    def _around_gaps(self, gaps: Any) -> Any:
        def observed(report: PollReport, open_gaps: Any, *given: Any, **named: Any) -> Any:
            self._gaps = sum(len(part.ranges) for part in open_gaps.all)
            return gaps(report, open_gaps, *given, **named)

        return observed

    def _open(self) -> None:
        """In the worker, not in the process that it was forked from."""
        if self._journal is None:
            self._worker = f"worker {os.getpid()}"
            self._journal = Journal(self._folder / f"{self._worker}.jsonl")
            if self._beats:
                gevent.spawn(self._beat, self._journal)

    def _write(self, began_s: float, *, complete: bool) -> None:
        assert self._journal is not None
        self._journal.write(
            Pass(self._worker, self._life, began_s, now_s(), complete, self._gaps, self._payloads)
        )

    def _beat(self, journal: Journal) -> None:
        """For ever. What passed beyond the pause, and beyond the time that this process used of a
        processor, is what the machine let it wait."""
        began_s, used_s = now_s(), time.process_time()
        while True:
            gevent.sleep(BEAT_S)
            ended_s, used_until_s = now_s(), time.process_time()
            passed_s, worked_s = ended_s - began_s, used_until_s - used_s
            blocked_s = passed_s - BEAT_S
            if blocked_s > WORTH_A_LINE_S:
                starved_s = max(0.0, passed_s - max(BEAT_S, worked_s))
                journal.write(Beat(self._worker, ended_s, starved_s, blocked_s))
            began_s, used_s = ended_s, used_until_s
