"""The wheel."""

from typing import Any

from poller.serving.wheel import Wheel


class Stream:
    slot: Any = None


def streams(count: int) -> list[Any]:
    return [Stream() for _ in range(count)]


def test_each_is_due_once_in_the_tick_of_its_time() -> None:
    wheel, (one, two, three) = Wheel(0.5), streams(3)
    for stream, at_s in ((one, 10.0), (two, 10.4), (three, 12.0)):
        wheel.put(stream, at_s)
    assert wheel.due(9.9) == []
    assert wheel.due(10.0) == [one, two]
    assert wheel.due(11.9) == []
    wheel.put(one, 11.0)  # which is over
    assert sorted(map(id, wheel.due(12.0))) == sorted(map(id, [one, three]))
    assert wheel.due(100.0) == []


def test_what_is_taken_out_is_not_due_and_not_kept() -> None:
    wheel, (one, two) = Wheel(0.5), streams(2)
    wheel.put(one, 10.0)
    wheel.put(two, 10.0)
    wheel.discard(one)
    wheel.discard(one)
    assert one.slot is None
    assert wheel.due(10.0) == [two]
    wheel.discard(two)
    assert wheel._slots == {}
