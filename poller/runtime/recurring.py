"""A loop in a greenlet of its own, which never dies and never gives up.

There is one catch, at its edge. While it fails, only the backoff sets the pace. Otherwise a wake-up
hastens the next time, and one that comes while it is done leads to one more. A flood of them is
bounded: see `_rest_s()`.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod

import gevent
from gevent.event import Event

from poller.runtime import log

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
WOKEN_EVERY_S = 0.01  # at most, however many wake it


class Recurring(ABC):
    """`once()` does it and returns the seconds to wait, None to wait until it is woken."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self._failures = 0
        self._woken = Event()
        self._stopped = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._ending: gevent.Greenlet[..., None] | None = None

    @abstractmethod
    def once(self) -> float | None: ...
    @abstractmethod
    def _on_failure(self, error: Exception) -> None:
        """Tell of a failure; `_failures` counts those before it."""

    @abstractmethod
    def _on_recovery(self) -> None:
        """Tell that it works again, after so many `_failures`."""

    def start(self) -> None:
        """Begin, in a greenlet of its own. Starting it twice does nothing."""
        if self._greenlet is None:
            # A loop that was stopped may still be in its last query: it keeps the event that ends
            # it, and the new loop waits for it. Two at once would write each row twice.
            self._stopped = Event()
            self._greenlet = gevent.spawn(self._run, self._stopped, self._ending)

    def stop(self) -> None:
        """End after the query under way: a greenlet killed inside one would spoil its connection.

        Stopping what is stopped, or was never started, does nothing.
        """
        greenlet, self._greenlet = self._greenlet, None
        self._stopped.set()
        self._woken.set()
        if greenlet is not None:
            self._ending = greenlet
            greenlet.join()

    @property
    def started(self) -> bool:
        return self._greenlet is not None

    def wake(self) -> None:
        """Do it now, or once it has rested."""
        self._woken.set()

    def _run(self, stopped: Event, ending: gevent.Greenlet[..., None] | None) -> None:
        if ending is not None:
            ending.join()
        while not stopped.is_set():
            self._woken.clear()
            began = time.monotonic()
            delay_s = self.step()
            ended = time.monotonic()
            if self._failures:
                # While the database is away only the backoff sets the pace, not a wake-up.
                stopped.wait(delay_s)
            elif self._woken.wait(delay_s) and not stopped.is_set():
                rest_s = self._rest_s(began, ended)
                if delay_s is not None:
                    rest_s = min(rest_s, ended + delay_s - time.monotonic())
                if rest_s > 0:
                    stopped.wait(rest_s)

    def _rest_s(self, began: float, ended: float) -> float:
        """For how long a wake-up has to wait now; `began` and `ended` are those of the last time.

        A flood of hints is at most one time in `WOKEN_EVERY_S`, and leaves the database alone for
        as long as the last one took.
        """
        return max(began + WOKEN_EVERY_S, ended + (ended - began)) - time.monotonic()

    def step(self) -> float | None:
        """Once, without ever failing. Returns what `once()` does."""
        try:
            delay_s = self.once()
            self._recovered()
        except Exception as error:  # noqa: BLE001 - the loop's one edge
            return self._failed(error)
        return delay_s

    def _failed(self, error: Exception) -> float:
        """The seconds to wait before the next try."""
        self.problem = error
        try:
            self._on_failure(error)
        except Exception as trouble:  # noqa: BLE001 - to tell of a failure must not end the loop
            log.error("a failure could not be told", exc_info=trouble)
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._failures, 16))
        self._failures += 1
        return float(longest * random.uniform(0.5, 1.0))

    def _recovered(self) -> None:
        if self._failures:
            self._on_recovery()
        self._failures, self.problem = 0, None
