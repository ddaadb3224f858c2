"""A worker that ends gives its streams to those that stay, and serves them until then.

gunicorn starts the new workers and ends the old ones in the same millisecond. So an old one mostly
has to wait until a new one has imported the application and read its tables, and how long that
takes nobody knows: it costs nothing, since the streams are served on. Where nobody comes, as when
the whole server is stopped, there is nothing to wait for: all others say `never`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import gevent

from poller.runtime import log
from poller.serving.moving.circle import OTHER_VERSION, Circle, Sibling
from poller.serving.moving.giver import Giver
from poller.serving.moving.marks import Name
from poller.serving.moving.protocol import MOST_STREAMS, Key, State
from poller.serving.moving.stock import Shelf, Stock

SETTLE_S = 0.1  # the others are told to end as well, one after another
WORTH_A_LINE_S = 1.0  # to have waited for somebody, and in vain
LOOK_S = 0.05
# Two busy cores may take twenty seconds to start a worker, so the user says how long one may take:
# gunicorn's `timeout`. One that starts longer than that is killed by gunicorn itself.
PATIENCE_S = 30.0  # where that is switched off
DRAIN_TAKES_S = 3.0


class Leaving:
    """`patience_s` counts from the last sign of a worker that comes, `grace_s` from now: after that
    a master that ends kills its workers. `look()` is called before each round."""

    def __init__(
        self,
        name: Name,
        stock: Stock,
        circle: Circle,
        grace_s: float,
        look: Callable[[], None],
        patience_s: float,
    ) -> None:
        self._name, self._stock, self._circle = name, stock, circle
        self._patience_s, self._look = patience_s or PATIENCE_S, look
        self._began_at = time.monotonic()
        self._kill_at = self._began_at + grace_s - DRAIN_TAKES_S
        self._giver = Giver(self._began_at)
        self._total: dict[Key, int] = {}
        self._told: set[tuple[Name, Key]] = set()

    def run(self, arriving: Callable[[], bool]) -> int:
        """How many streams were given. Returns when there is none left and none is `arriving()`,
        or nobody to wait for. What is left is served as before."""
        gevent.sleep(SETTLE_S)
        while True:
            self._look()
            self._circle.look()
            last = self._is_late()
            self._give(last=last)
            if last or not (self._is_hope() and (len(self._stock) or arriving())):
                break
            gevent.sleep(LOOK_S)
        for shelf in self._stock.shelves().values():
            shelf.streams.put_back([])  # those that were loosened go on
        self._circle.close()
        self._tell()
        return self._giver.given

    def _tell(self) -> None:
        given, left = self._giver.given, len(self._stock)
        seconds = time.monotonic() - self._began_at
        if given or (left and seconds >= WORTH_A_LINE_S):
            log.info("streams handed over", streams=given, left=left, seconds=round(seconds, 3))

    # -- whom to wait for -------------------------------------------------------------------

    def _is_hope(self) -> bool:
        """Whether anybody takes streams now, or may soon."""
        return bool(self._circle.expected) or any(map(self._takes, self._circle.siblings))

    def _is_late(self) -> bool:
        now = time.monotonic()
        if now > self._circle.progress_at + self._patience_s:
            return True
        return now > self._kill_at and self._master_ends()

    def _master_ends(self) -> bool:
        """Whether none of our own master's workers stays, as when a new master took over."""
        staying = {
            one.name for one in self._circle.siblings if one.state is not State.NEVER
        } | self._circle.coming
        return all(name.master != self._name.master for name in staying)

    def _takes(self, sibling: Sibling) -> bool:
        return any(self._takes_of(sibling, key) for key in self._stock.shelves())

    @staticmethod
    def _takes_of(sibling: Sibling, key: Key) -> bool:
        return sibling.state is State.READY and sibling.room(key) > 0

    # -- shares -----------------------------------------------------------------------------

    def _give(self, *, last: bool) -> None:
        for key, shelf in self._stock.shelves().items():
            self._count_other_versions(key, shelf)
            if shelf.streams.on_sockets and any(
                self._takes_of(one, key) for one in self._circle.siblings
            ):
                shelf.streams.loosen()
                self._give_shares(key, shelf, 0 if last else self._circle.expected)

    def _give_shares(self, key: Key, shelf: Shelf, expected: int) -> None:
        """Equal ones, also to those that are expected: who is ready first would get all."""
        given = self._given(key)
        while takers := [one for one in self._circle.siblings if self._takes_of(one, key)]:
            share = math.ceil((given + shelf.streams.on_sockets) / (len(takers) + expected))
            least = min(takers, key=lambda one: one.given[key])
            most = min(MOST_STREAMS, share - least.given[key])
            if most <= 0 or not self._giver.give(least, key, shelf, most):
                return
            given = self._given(key)

    def _given(self, key: Key) -> int:
        return sum(one.given[key] for one in self._circle.siblings)

    def _count_other_versions(self, key: Key, shelf: Shelf) -> None:
        for one in self._circle.siblings:
            if one.is_of_another_version and (one.name, key) not in self._told:
                self._told.add((one.name, key))
                self._giver.refused(shelf, OTHER_VERSION)
