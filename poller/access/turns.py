"""Whose turn it is to catch up with a feed: one stream of a client address, and few in all.

Catching up is the work that a stranger can ask for most of, by opening many streams with an old
`Last-Event-ID`, or a forged one. Taking turns, the streams of one address get the share of one, and
everybody else's rows go on. A turn is one page of rows, so that nobody waits long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from weakref import WeakValueDictionary

from gevent.lock import BoundedSemaphore

from poller.access.address import single_client
from poller.runtime.hub import yield_now

# One is written while another waits for the database. More would only make a health check, or a new
# row, wait for all of them: they share one thread.
AT_ONCE = 2

Turn = Callable[[], AbstractContextManager[None]]


class Turns:
    """A turn for each address that has a stream, forgotten with its last one."""

    def __init__(self) -> None:
        # Per feed: clients of a locked table must not hold up those of another one.
        self._all: defaultdict[str, BoundedSemaphore] = defaultdict(_few)
        self._by_client: WeakValueDictionary[tuple[str, str | None], Turn] = WeakValueDictionary()

    def of(self, remote_addr: str | None, feed: str) -> Turn:
        """What a stream of this address keeps while it is open: `with turn(): …`. Where the address
        may be everybody's, its streams wait in one line with the other addresses."""
        key = feed, single_client(remote_addr)
        turn = self._by_client.get(key)
        if turn is None:
            own = nullcontext() if key[1] is None else BoundedSemaphore(1)
            turn = self._by_client[key] = partial(_taken, own, self._all[feed])
        return turn


def _few() -> BoundedSemaphore:
    return BoundedSemaphore(AT_ONCE)


@contextmanager
def _taken(
    own: AbstractContextManager[object], few: AbstractContextManager[object]
) -> Iterator[None]:
    with own, few:
        yield_now()  # or a line of those who wait would run as one, without a look at sockets
        yield
