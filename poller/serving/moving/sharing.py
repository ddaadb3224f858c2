"""A worker that is new among others asks them for its share of their streams.

A worker that took over from one of three has twice as many as a fair share, and the successor
begins with none. So the successor says so, and each that has more than the mean gives a part of
that. Only workers of one master share: which of two masters stays is for their operator to decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from poller.serving import siblings
from poller.serving.moving.circle import Circle, Sibling
from poller.serving.moving.giver import Giver
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import MOST_STREAMS, State
from poller.serving.moving.stock import Stock

SHARE = "share"  # what workers tell each other
LOOK_S = 0.2
PATIENCE_S = 60.0  # until the others have told how many they have, and nobody comes or leaves
ENOUGH = 0.9  # of the mean


class Sharing:
    """`ending()`: this worker was told to end."""

    def __init__(self, marks: Marks, name: Name, stock: Stock, ending: Callable[[], bool]) -> None:
        self._marks, self._name, self._stock, self._ending = marks, name, stock, ending

    def begin(self) -> None:
        """Ask, once this worker is ready; and give to those that do."""
        siblings.ours.on(SHARE, self._give)
        gevent.spawn(self._ask)

    def _ask(self) -> None:
        circle = Circle(self._marks, self._name)
        until = time.monotonic() + PATIENCE_S
        while not self._ending() and time.monotonic() < until:
            if self._stock.state is State.READY:
                circle.look()
                if self._is_calm(circle):
                    break
            gevent.sleep(LOOK_S)
        others = self._others(circle)
        circle.close()
        mean = (len(self._stock) + sum(one.streams for one in others)) / (1 + len(others))
        if not self._ending() and len(self._stock) < ENOUGH * mean:
            siblings.ours.send(SHARE, str(self._name))

    def _is_calm(self, circle: Circle) -> bool:
        """Whether all others are ready. What one that ends still has, it is about to give."""
        return not (circle.coming or self._marks.leaving()) and all(
            one.state is State.READY or one.is_of_another_version for one in circle.siblings
        )

    def _others(self, circle: Circle) -> list[Sibling]:
        ready = circle.in_state(State.READY)
        return [one for one in ready if one.name.master == self._name.master]

    def _give(self, to: str) -> None:
        """In a greenlet of its own: another worker asks."""
        circle = Circle(self._marks, self._name)
        until = time.monotonic() + PATIENCE_S / 10
        circle.look()
        while any(one.hello is None for one in circle.siblings) and time.monotonic() < until:
            gevent.sleep(LOOK_S / 10)
            circle.look()
        others = self._others(circle)
        asking = [one for one in others if str(one.name) == to]
        if asking and not self._ending():
            self._give_share(asking[0], others)
        circle.close()

    def _give_share(self, to: Sibling, others: list[Sibling]) -> None:
        """Of what is above the mean, as much as it lacks of what all lack that are below it."""
        mean = (len(self._stock) + sum(one.streams for one in others)) / (1 + len(others))
        lacking = sum(max(0.0, mean - one.streams) for one in others)
        above = len(self._stock) - mean
        if above <= 0 or not lacking:
            return
        part = above * (mean - to.streams) / lacking / len(self._stock)
        giver = Giver(time.monotonic())
        for key, shelf in self._stock.shelves().items():
            most = round(part * shelf.streams.on_sockets)
            while most > 0 and not self._ending():
                given = giver.give(to, key, shelf, min(most, MOST_STREAMS))
                if not given:
                    break
                most -= given
