"""A paced call: a flood of those who ask is few calls, and the last who asked is served."""

from __future__ import annotations

import time

import gevent

from poller.runtime.paced import Paced
from tests.harness.greenlets import until


def test_the_first_is_called_at_once() -> None:
    called: list[int] = []
    Paced(lambda: called.append(1), 3600.0)()
    assert called == [1]


def test_a_flood_is_few_calls_and_the_last_who_asks_is_served() -> None:
    """Each call sees what was done before it was asked for."""
    every_s, done, seen = 0.01, 0, list[int]()
    paced = Paced(lambda: seen.append(done), every_s)
    began = time.monotonic()
    for done in range(1, 1001):
        paced()
        if done % 100 == 0:
            gevent.sleep(0.001)
    until(lambda: seen[-1] == 1000, "a call after the last who asked")
    assert len(seen) <= 2 + (time.monotonic() - began) / every_s
    gevent.sleep(2 * every_s)
    assert seen.count(1000) == 1


def test_who_asks_during_a_call_is_served_by_another() -> None:
    called: list[int] = []

    def call() -> None:
        called.append(len(called))
        if len(called) == 1:
            paced()

    paced = Paced(call, 0.001)
    paced()
    until(lambda: called == [0, 1], "the second call")
