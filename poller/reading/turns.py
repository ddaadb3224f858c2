"""Turns: who may take a connection, so that a worker has few, however many tables it watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.lock import BoundedSemaphore

POLLS_AT_ONCE = 3
OTHERS_AT_ONCE = 3  # pages of the table for streams, and what the application reads and writes
# A read that waits longer goes ahead, on a connection that is closed afterwards: a few tables that
# somebody has locked must not hold up the others.
LONGEST_WAIT_S = 2.0
KEPT = POLLS_AT_ONCE + OTHERS_AT_ONCE
AHEAD = 9  # connections beyond that, at most


class Turns:
    """Those of one database."""

    def __init__(self) -> None:
        self._polls = BoundedSemaphore(POLLS_AT_ONCE)
        self._others = BoundedSemaphore(OTHERS_AT_ONCE)

    @contextmanager
    def take(self, *, polling: bool) -> Iterator[None]:
        """Wait for a turn, and have it inside. Polls and others do not wait for each other."""
        turns = self._polls if polling else self._others
        had = turns.acquire(timeout=LONGEST_WAIT_S)
        try:
            yield
        finally:
            if had:
                turns.release()
