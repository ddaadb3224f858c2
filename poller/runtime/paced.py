"""A call that many ask for: made at once, then not again for a while, and the last never dropped.

So a flood costs a bounded number of calls, and whoever asked is never without a call that began
after it asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent


class Paced:
    """Makes `call()` at most once in `every_s` seconds. Asking never waits.

    `call` is made in the greenlet that asks, or later in one of its own.
    """

    def __init__(self, call: Callable[[], object], every_s: float) -> None:
        self._call = call
        self._every_s = every_s
        self._called_at = float("-inf")
        self._coming = False

    def __call__(self) -> None:
        if self._coming:
            return
        wait_s = self._called_at + self._every_s - time.monotonic()
        if wait_s > 0:
            self._coming = True
            gevent.spawn_later(wait_s, self._make)
        else:
            self._make()

    def _make(self) -> None:
        # Before the call: whoever asks during it is served by the next one.
        self._called_at, self._coming = time.monotonic(), False
        self._call()
