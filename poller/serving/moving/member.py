"""This worker as one of its server's: it comes, takes and gives, and leaves."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence

import gevent

from poller.serving.moving.circle import Circle
from poller.serving.moving.leaving import Leaving
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import State
from poller.serving.moving.sharing import Sharing
from poller.serving.moving.stock import Holder, Stock
from poller.serving.moving.taker import Taker

TURN = ".turn"  # the file whose lock is the right to restart
LOOK_S = 0.2
SUCCESSOR_S = 30.0  # for a worker that is ready, before one restarts without it


class Member:
    """Made once the application is loaded. `ending()`: this worker was told to end."""

    def __init__(
        self,
        marks: Marks,
        name: Name,
        holders: Callable[[], Sequence[Holder]],
        ending: Callable[[], bool],
    ) -> None:
        self._marks, self._name, self._ending = marks, name, ending
        self._stock = Stock(holders, ending)
        self._taker = Taker(marks, name, self._stock)

    def arrive(self) -> None:
        """Take streams from now on, and ask for a share."""
        self._taker.open()
        self._marks.arrived(self._name)
        Sharing(self._marks, self._name, self._stock, self._ending).begin()

    def leave(
        self,
        grace_s: float,
        patience_s: float,
        look: Callable[[], None],
        arriving: Callable[[], bool],
    ) -> None:
        """Give all streams away, as far as somebody takes them. See `Leaving`."""
        self._marks.leave(self._name)
        self._taker.close()
        circle = Circle(self._marks, self._name)
        Leaving(self._name, self._stock, circle, grace_s, look, patience_s).run(arriving)

    def wait_for_turn(self) -> None:
        """Until this worker may restart: one at a time, and not before another one is ready to take
        its streams. All reach `max_requests` at about the same time, since requests are spread; and
        gunicorn starts a successor only after the end."""
        try:
            turn = os.open(self._marks.folder / TURN, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        while not self._ending() and not _is_locked(turn):  # until this process ends
            gevent.sleep(LOOK_S)
        circle, until = Circle(self._marks, self._name), time.monotonic() + SUCCESSOR_S
        while not self._ending() and time.monotonic() < until:
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
