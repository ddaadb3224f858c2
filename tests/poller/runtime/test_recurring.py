"""The loop: what a wake-up hastens, and what bounds it."""

from __future__ import annotations

import time

import gevent
import pytest

from poller.runtime import recurring
from poller.runtime.recurring import Recurring
from tests.harness.greenlets import until


class Loop(Recurring):
    """Counts how often it is done. `takes_s` is how long each time takes."""

    def __init__(self, delay_s: float | None = 3600.0, takes_s: float = 0.0) -> None:
        super().__init__()
        self.delay_s, self.takes_s = delay_s, takes_s
        self.began, self.done = 0, 0

    def once(self) -> float | None:
        self.began += 1
        gevent.sleep(self.takes_s)
        self.done += 1
        return self.delay_s

    def _on_failure(self, error: Exception) -> None:
        """It does not fail."""

    def _on_recovery(self) -> None:
        """Neither does it recover."""


@pytest.mark.parametrize("delay_s", [3600.0, None])
def test_a_flood_is_bounded_and_its_last_hint_is_followed(delay_s: float | None) -> None:
    loop = Loop(delay_s)
    loop.start()
    began = time.monotonic()
    for _ in range(300):
        loop.wake()
        gevent.sleep(0.001)
    took_s = time.monotonic() - began
    done = loop.done
    assert 2 <= done <= 2 + took_s / recurring.WOKEN_EVERY_S
    loop.wake()
    until(lambda: loop.done > done, "one more after the last hint")
    loop.stop()


def test_a_hint_while_it_is_done_leads_to_one_more() -> None:
    loop = Loop(takes_s=0.02)
    loop.start()
    until(lambda: loop.began == 1, "the first time")
    assert loop.done == 0
    loop.wake()
    until(lambda: loop.done == 2, "the second time")
    gevent.sleep(0.05)
    assert loop.began == 2  # and no third
    loop.stop()


def test_what_takes_long_is_left_alone_for_as_long() -> None:
    """At most half of the time it is done, however many wake it."""
    loop = Loop(takes_s=0.03)
    loop.start()
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        loop.wake()
        gevent.sleep(0.001)
    took_s = time.monotonic() - began
    assert loop.began <= 1 + took_s / 0.06 + 1
    loop.stop()


def test_a_flood_does_not_hold_up_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is more to do at once, it is done at once."""
    monkeypatch.setattr(recurring, "WOKEN_EVERY_S", 3600.0)
    loop = Loop(0.0)
    loop.start()

    def flooded() -> bool:
        loop.wake()
        return loop.done > 50

    until(flooded, "fifty times")
    loop.stop()


def test_it_goes_on_though_a_failure_cannot_be_told() -> None:
    class Failing(Loop):
        def once(self) -> float | None:
            super().once()
            if self.done < 3:
                raise RuntimeError("away")
            return self.delay_s

        def _on_failure(self, error: Exception) -> None:
            raise ValueError("the log is full") from error

    loop = Failing()
    loop.start()
    until(lambda: loop.done >= 3 and loop.problem is None, "it works again")
    loop.stop()
