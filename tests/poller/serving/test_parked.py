"""Parked streams: their places, and heartbeats in time by a clock that is simulated."""

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from poller.serving import parked
from poller.serving.parked import Parked

HEARTBEAT_S = 15.0


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(parked, "time", clock)
    return clock


class Stream:
    """One that was written to just now."""

    def __init__(self, view: object, now: float, *, is_live: bool = True) -> None:
        self.subscriber: Any = SimpleNamespace(view=view, is_live=is_live)
        self.written_at = self.heard_at = now
        self.slot: Any = None


def noted_in(beaten: list[Any]) -> Callable[[Any], bool]:
    def beat(stream: Any) -> bool:
        beaten.append(stream)
        return True

    return beat


def test_no_stream_is_silent_for_longer_than_a_heartbeat_nor_beaten_often(clock: Clock) -> None:
    """Views that get rows often, seldom and never; streams come, go and are busy."""
    chance = random.Random(7)
    beats = 0

    def beat(stream: Any) -> bool:
        nonlocal beats
        beats += 1
        stream.heard_at = clock.now
        return True

    places: Any = Parked(HEARTBEAT_S, beat)
    streams: list[Any] = []
    looks = 0
    for _ in range(3_000):
        clock.now += places.tick_s / 3
        for stream in places.due(clock.now):
            looks += 1
            places.send_heartbeat(stream, clock.now)
        for view, often in (("a", 0.2), ("b", 0.002), ("c", 0.0)):
            if view in places.audiences and chance.random() < often:
                places.audiences[view].batch_at = clock.now
                for stream in places.audiences[view].streams:
                    stream.heard_at = clock.now
        if chance.random() < 0.1:
            streams.append(Stream(chance.choice("abc"), clock.now, is_live=chance.random() < 0.9))
            places.add(streams[-1])
        if streams and chance.random() < 0.05:
            stream = chance.choice(streams)
            places.discard(stream)
            if chance.random() < 0.3:
                streams.remove(stream)
            else:
                stream.written_at = stream.heard_at = clock.now
                places.add(stream)
        assert all(clock.now - stream.heard_at <= HEARTBEAT_S for stream in streams)
    silence_s = 3_000 * places.tick_s / 3
    assert 0 < beats < len(streams) * silence_s / (0.8 * HEARTBEAT_S)


def test_a_batch_touches_no_stream_and_puts_off_the_heartbeats_of_its_view(clock: Clock) -> None:
    beaten: list[Any] = []
    places: Any = Parked(HEARTBEAT_S, noted_in(beaten))
    one, other = Stream("a", clock.now), Stream("b", clock.now)
    places.add(one)
    places.add(other)
    slot = one.slot
    clock.now += 10
    places.audiences["a"].batch_at = clock.now
    assert one.slot is slot
    clock.now += 5
    for stream in places.due(clock.now):
        places.send_heartbeat(stream, clock.now)
    assert beaten == [other]
    assert one.slot is not slot
    clock.now += 10
    assert places.due(clock.now) == [one]


def test_a_view_without_live_streams_is_forgotten(clock: Clock) -> None:
    places: Any = Parked(HEARTBEAT_S, lambda _: True)
    one: Any = Stream("a", clock.now)
    places.add(one)
    places.audiences["a"].batch_at = clock.now + 1
    one.subscriber.is_live = False
    places.add(one)
    assert (places.audiences, [*places.waiting]) == ({}, [one])
    assert one.written_at == clock.now + 1
    places.discard(one)
    assert not places
    assert one.slot is None


def test_one_that_is_late_when_it_is_parked_is_beaten_at_once(clock: Clock) -> None:
    beaten: list[Any] = []
    places: Any = Parked(HEARTBEAT_S, noted_in(beaten))
    places.add(Stream("a", clock.now - 20, is_live=False))
    assert len(beaten) == 1


def test_one_whose_heartbeat_has_to_wait_is_in_no_slot(clock: Clock) -> None:
    def has_to_wait(stream: Any) -> bool:
        places.discard(stream)
        return False

    places: Any = Parked(HEARTBEAT_S, has_to_wait)
    one: Any = Stream("a", clock.now)
    places.add(one)
    clock.now += 20
    for stream in places.due(clock.now):
        places.send_heartbeat(stream, clock.now)
    assert one.slot is None
    assert not places
