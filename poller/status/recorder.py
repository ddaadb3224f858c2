"""The recorder of one process: takes a sample of it each `SAMPLE_S`, and knows whether it is late.

It costs four wake-ups a second, by which it measures how long the event loop keeps a timer waiting,
and half a millisecond each `SAMPLE_S`. While somebody looks, at whichever worker, it also writes
the state each second. Where nobody may look it does nothing at all.
"""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakSet

import gevent

from poller.runtime import log
from poller.serving import siblings
from poller.status.figures import SAMPLE_S, Sample, WorkerNow
from poller.status.folder import Folder
from poller.status.worker import Heard, Reporting, now_of, sample_of

TICK_S = 0.25
STATE_S = 1.0  # between two states while somebody looks
ANSWER_S = 0.1  # so long the others are waited for that were asked to tell
LOOKED_S = 5.0  # so long after somebody looked the state is written each second
LOOK = "status"  # what workers tell each other


class Recorder:
    """That of all services of this process."""

    def __init__(self) -> None:
        self.folder = Folder()
        self._services: WeakSet[Reporting] = WeakSet()
        self._server = ""
        self._began = wall_time()
        self._heard = Heard()
        self._timer: Any = None
        self._due = float("inf")  # when the tick is to come (monotonic)
        self._late_s = 0.0  # at most, since the last sample
        self._sampled_at = self._looked_at = self._written_at = float("-inf")
        self._fails = False

    def begin(self, service: Reporting, server: str) -> None:
        """Record what this service does, from now on. Twice does nothing."""
        self._services.add(service)
        self._server = server
        if self._timer is None:
            siblings.ours.on(LOOK, self._is_looked_at)
            self.folder.open(siblings.ours.folder)
            self._timer = gevent.get_hub().loop.timer(0, TICK_S, ref=False)
            self._timer.start(self._tick)

    def drop(self, service: Reporting) -> None:
        """It is not polled any more. The last one's state is written once more: its worker ends."""
        if service in self._services and len(self._services) == 1 and self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
            self._write(sample=True)
        self._services.discard(service)

    def look(self) -> None:
        """Somebody looks: let all workers write what they do."""
        self._looked_at = time.monotonic()
        siblings.ours.send(LOOK, None)

    def ask(self) -> None:
        """As `look()`, and wait for what the others tell, if there are any."""
        self.look()
        if siblings.ours.folder is not None:
            gevent.sleep(ANSWER_S)

    def _is_looked_at(self, _: object) -> None:
        self._looked_at = time.monotonic()
        self._write(sample=False)

    def now(self) -> WorkerNow:
        """The state of this process."""
        services, late_s = [*self._services], max(self._late_s, self._overdue())
        sample = sample_of(services, wall_time(), late_s, self._heard)
        return now_of(services, self._server, self._began, sample)

    def own_hour(self) -> list[Sample]:
        """Of this process."""
        return self.folder.own_hour()

    # -- the loop ---------------------------------------------------------------------------

    def _tick(self) -> None:
        """In the hub, where nothing may wait."""
        now = time.monotonic()
        self._late_s = max(self._late_s, self._overdue())
        self._due = now + TICK_S
        if now - self._sampled_at >= SAMPLE_S:
            self._sampled_at = now
            gevent.spawn(self._sample)
        elif now - self._looked_at < LOOKED_S and now - self._written_at >= STATE_S:
            gevent.spawn(self._write, sample=False)

    def _sample(self) -> None:
        self._write(sample=True)
        self._late_s = 0.0

    def _overdue(self) -> float:
        return max(0.0, time.monotonic() - self._due)

    def _write(self, *, sample: bool) -> None:
        self._written_at = time.monotonic()
        try:
            self.folder.write(self.now(), sample=sample)
            if self._fails:
                log.info("history for the status page again")
            self._fails = False
        except Exception as error:  # noqa: BLE001 - the edge of the timer: the next tick tries again
            if not self._fails:
                log.error("no history for the status page", exc_info=error)
            self._fails = True


def wall_time() -> float:
    """For the axis of a plot, and to say when something was. Nothing else depends on it."""
    return time.time()


ours = Recorder()  # of this process
