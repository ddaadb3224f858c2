"""The hub's time: long work lets the other greenlets run every few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

T = TypeVar("T")

SHORTEST_S = 1e-5
SLICE_S = 0.004  # of work, then the others run


def yield_now() -> None:
    """Let others run, sockets and timers included.

    `gevent.sleep(0)` runs only what is ready already. It asks for news of sockets and timers every
    50th time, which after slices of 4 ms each is 200 ms.
    """
    gevent.sleep(SHORTEST_S)


def in_slices(items: Iterable[T], *, items_between_looks: int = 1) -> Iterator[T]:
    """The same items; others run whenever `SLICE_S` have passed since they last did.

    The clock is read every `items_between_looks`, for items that take less time than reading it.
    """
    began_at = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        if count % items_between_looks == 0 and time.monotonic() - began_at > SLICE_S:
            yield_now()
            began_at = time.monotonic()
