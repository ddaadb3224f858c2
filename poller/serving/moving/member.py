"""This worker as one of its server's: it comes, takes and gives, and leaves."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent

from poller.serving.moving.circle import Circle
from poller.serving.moving.leaving import Leaving
from poller.serving.moving.marks import SUPPORTED, Marks, Name
from poller.serving.moving.protocol import State
from poller.serving.moving.sharing import Sharing
from poller.serving.moving.stock import Holder, Stock
from poller.serving.moving.taker import Taker

TURN = "turn.lock"  # the file whose lock is the right to restart
LOOK_S = 0.2
SUCCESSOR_S = 30.0  # for a worker that is ready, before one restarts without it


class Member:
    """Where streams cannot move, or without a folder, every method does nothing."""

    def __init__(self, folder: str | None, name: Name) -> None:
        self.name = name
        self._marks = Marks(Path(folder)) if folder and SUPPORTED else None
        self._taker: Taker | None = None
        self._stock: Stock | None = None

    def announce(self) -> None:
        """In the master, before it forks."""
        if self._marks:
            self._marks.announce(self.name)

    def gone(self) -> None:
        """In the master, which has reaped it; or in the worker itself, if it will not serve."""
        if self._marks:
            self._marks.forget(self.name)

    def will_not_come(self) -> None:
        """It was told to end before it had arrived. Also in a signal handler."""
        if self._marks:
            self._marks.arrived(self.name)

    # -- in the worker, with the application loaded -------------------------------------------

    def arrive(self, holders: Callable[[], Sequence[Holder]], ending: Callable[[], bool]) -> None:
        """Take streams from now on, and ask for a share. `ending()`: told to end."""
        if self._marks:
            self._stock = Stock(holders, ending)
            self._taker = Taker(self._marks, self.name, self._stock)
            self._taker.open()
            self._marks.arrived(self.name)
            Sharing(self._marks, self.name, self._stock, ending).begin()

    def leave(
        self, grace_s: float, look: Callable[[], None], arriving: Callable[[], bool]
    ) -> None:
        """Give all streams away, as far as somebody takes them. See `Leaving`."""
        if self._marks and self._stock and self._taker:
            self._taker.close()
            circle = Circle(self._marks, self.name)
            Leaving(self.name, self._stock, circle, grace_s, look).run(arriving)

    def wait_for_turn(self, workers: int, ending: Callable[[], bool]) -> None:
        """Until this worker may restart: one at a time, and not before another one is ready to take
        its streams. All reach `max_requests` at about the same time, since requests are spread; and
        gunicorn starts a successor only after the end."""
        if not self._marks or workers < 2:  # noqa: PLR2004 - nobody else
            return
        try:
            turn = os.open(self._marks.folder / TURN, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        while not ending() and not _is_locked(turn):  # until this process ends
            gevent.sleep(LOOK_S)
        circle, until = Circle(self._marks, self.name), time.monotonic() + SUCCESSOR_S
        while not ending() and time.monotonic() < until:
            circle.look()
            if circle.in_state(State.READY):
                break
            gevent.sleep(LOOK_S)
        circle.close()


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
