"""What a worker tells the others of its server after an insert, and what it hears from them.

A hint is a datagram of `serving/siblings.py`: the prefix of the notifier, and a feed's name or None
for all. `rowcast wake` sends the same with no prefix: it does not know those of the applications.
"""

from __future__ import annotations

from functools import partial

from poller.runtime.paced import Paced
from poller.serving import siblings

WAKE = "wake"  # the kind of message
TOLD_EVERY_S = 0.01  # of one feed, at most
Said = tuple[str | None, str | None]


class Teller:
    """That of one notifier. A burst of inserts is few datagrams, and the last is told of."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._paced: dict[str | None, Paced] = {}

    def tell(self, name: str | None) -> None:
        """A row was inserted into the table of this feed; None: of any."""
        if name not in self._paced:
            send = partial(siblings.ours.send, WAKE, (self._prefix, name))
            self._paced[name] = Paced(send, TOLD_EVERY_S)
        self._paced[name]()
