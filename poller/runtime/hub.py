"""A turn for the other greenlets in the midst of long work."""

from __future__ import annotations

import gevent

SHORTEST_S = 1e-5


def give_turn() -> None:
    """Let others run, sockets and timers included.

    `gevent.sleep(0)` runs what is ready already; whether anything else has become ready it asks
    every 50th time only, which after slices of 4 ms each is 200 ms.
    """
    gevent.sleep(SHORTEST_S)
