"""How often somebody is wrong about a secret, so that the log can say that it is guessed at.

A right one is taken all the same. What keeps a secret from being guessed is its length: at some
thousand tries a second, 16 random characters last for longer than the machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from poller.access.address import client_network
from poller.runtime import log

MOST = 10
PER_S = 60.0


class Guesses:
    """Wrong ones of each address, in the present minute. `clock` is monotonic, in seconds.

    Behind a proxy that the application does not know of, all are one address.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute = float("-inf")
        self._wrong: Counter[str] = Counter()

    def too_many(self, remote_addr: str | None) -> bool:
        """Whether so many came from this address."""
        self._forget()
        return self._wrong[client_network(remote_addr)] >= MOST

    def wrong(self, remote_addr: str | None) -> None:
        """Count one."""
        self._forget()
        client = client_network(remote_addr)
        self._wrong[client] += 1
        if self._wrong[client] == MOST:
            log.warning("an operator's token is guessed at", address=client, wrong=MOST)

    def wait_s(self) -> int:
        """So long until it is forgotten."""
        return max(1, round(self._minute + PER_S - self._clock()))

    def _forget(self) -> None:
        if self._clock() - self._minute >= PER_S:
            self._minute = self._clock()
            self._wrong.clear()
