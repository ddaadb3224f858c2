"""Whose turn it is to catch up: of one client address, one stream at a time.

Catching up is the work that a stranger can ask for most of, by opening many streams with an old
`Last-Event-ID`, or a forged one. Taking turns, the streams of one address get the share of one, and
everybody else's rows go on. A turn is one page of rows, so that nobody waits long.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from gevent.lock import BoundedSemaphore

from poller.access.address import single_client

# Where the address may stand for everybody, as behind a proxy that was not configured. Pages are
# written by one thread: more at once would save only the time in which it waits for the database.
EVERYBODY_AT_ONCE = 4


class Turns:
    """A turn for each address that has a stream, forgotten with its last one."""

    def __init__(self) -> None:
        self._everybody = BoundedSemaphore(EVERYBODY_AT_ONCE)
        self._by_client: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()

    def of(self, remote_addr: str | None) -> BoundedSemaphore:
        """The turn that streams of this address take: `with turn: …`. Keep it while one is open."""
        client = single_client(remote_addr)
        if client is None:
            return self._everybody
        turn = self._by_client.get(client)
        if turn is None:
            turn = self._by_client[client] = BoundedSemaphore(1)
        return turn
