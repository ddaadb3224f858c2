"""How long a stream may stay, with streams that only note how they end."""

from __future__ import annotations

import random
import re
import time
from unittest import mock

import gevent
import pytest

from poller.serving import tenure
from poller.serving.tenure import DISCONNECTED, LIFETIME, UNBOUNDED, Tenure, Tenures
from tests.harness.greenlets import until
from tests.harness.logged import logged

TICK_S = 0.01


class Stream:
    """`stuck`: it does not end by itself."""

    def __init__(self, tenures: Tenures, *, stuck: bool = False) -> None:
        self.tenures, self.stuck = tenures, stuck
        self.ended: list[str] = []
        self.ended_at = 0.0
        self.was_cut = False

    def end(self, reason: str, farewell: bytes | None = None) -> None:
        assert farewell is not None
        assert re.fullmatch(rb"retry: [0-9]+\n", farewell)
        self.ended.append(reason)
        self.ended_at = time.monotonic()
        if not self.stuck:
            self.tenures.over(self)

    def cut(self) -> None:
        self.was_cut = True
        self.tenures.over(self)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenure, "TICK_S", TICK_S)
    monkeypatch.setattr(tenure, "CUT_AFTER_S", TICK_S)


@pytest.fixture
def tenures() -> Tenures:
    return Tenures("notes")


def begun(tenures: Tenures, granted: Tenure, *, stuck: bool = False) -> Stream:
    stream = Stream(tenures, stuck=stuck)
    tenures.begin(stream, granted)
    return stream


def soon(tag: str = "") -> Tenure:
    return Tenure(time.monotonic() + 3 * TICK_S, tag, time.monotonic())


def tagged(tag: str) -> Tenure:
    return Tenure(None, tag, time.monotonic())


def test_a_stream_ends_when_its_time_is_over_and_not_before(tenures: Tenures) -> None:
    granted = soon()
    stream = begun(tenures, granted)
    until(lambda: stream.ended, "its end")
    assert stream.ended == [LIFETIME]
    assert granted.until is not None
    assert stream.ended_at >= granted.until
    assert len(tenures) == 0


def test_a_time_that_is_over_already_ends_it_at_the_next_look(tenures: Tenures) -> None:
    stream = begun(tenures, Tenure(time.monotonic() - 100))
    until(lambda: stream.ended, "its end")


def test_one_greenlet_ends_them_all_and_then_ends_itself(tenures: Tenures) -> None:
    with mock.patch.object(gevent, "spawn", wraps=gevent.spawn) as spawned:
        ends = [time.monotonic() + random.uniform(0, 20) * TICK_S for _ in range(1000)]
        streams = [begun(tenures, Tenure(end)) for end in ends]
        until(lambda: all(stream.ended for stream in streams), "all ends")
    assert spawned.call_count == 1
    until(lambda: not tenures._running, "the greenlet's end")
    again = begun(tenures, soon())
    until(lambda: again.ended, "one that came later")


def test_one_that_is_unbounded_is_not_held(tenures: Tenures) -> None:
    begun(tenures, UNBOUNDED)
    assert len(tenures) == 0
    assert not tenures._running


def test_one_that_ended_before_is_forgotten(tenures: Tenures) -> None:
    stream = begun(tenures, soon("ann"))
    tenures.over(stream)
    tenures.over(stream)
    assert (len(tenures), {*tenures._slots}, {*tenures._tags}) == (0, set(), set())
    tenures.disconnect("ann")
    until(lambda: not tenures._running, "that nothing waits")
    assert stream.ended == []


def test_what_one_stream_raises_keeps_no_other_open(tenures: Tenures) -> None:
    broken, sound = begun(tenures, soon("ann")), begun(tenures, soon("ann"))
    with mock.patch.object(broken, "end", side_effect=RuntimeError), logged() as lines:
        tenures.disconnect("ann")
    assert sound.ended == [DISCONNECTED]
    assert lines[0]["event"] == "stream failed to end"
    tenures.over(broken)


# -- disconnect ---------------------------------------------------------------------------------


def test_a_disconnect_ends_the_streams_of_the_tag_and_no_other(tenures: Tenures) -> None:
    ann = [begun(tenures, tagged("ann")), begun(tenures, soon("ann"))]
    bob, nobody = begun(tenures, tagged("bob")), begun(tenures, soon())
    tenures.disconnect("ann")
    assert [stream.ended for stream in ann] == [[DISCONNECTED]] * 2
    assert not bob.ended
    assert not nobody.ended
    tenures.disconnect("nobody of that name")
    tenures.over(bob)
    tenures.over(nobody)


def test_one_that_does_not_end_by_itself_is_cut(tenures: Tenures) -> None:
    stuck, sound = begun(tenures, tagged("ann"), stuck=True), begun(tenures, tagged("ann"))
    tenures.disconnect("ann")
    until(lambda: stuck.was_cut, "the cut")
    assert not sound.was_cut


def test_one_that_was_allowed_before_and_opens_after_ends_as_well(tenures: Tenures) -> None:
    before = tagged("ann")
    tenures.disconnect("ann")
    tenures.disconnect("bob")
    after, other = begun(tenures, tagged("ann")), begun(tenures, tagged("carl"))
    late = begun(tenures, before)
    assert late.ended == [DISCONNECTED]
    assert not after.ended
    assert not other.ended
    tenures.over(after)
    tenures.over(other)


def test_the_last_of_several_disconnects_counts(tenures: Tenures) -> None:
    tenures.disconnect("ann")
    between = tagged("ann")
    tenures.disconnect("bob")
    tenures.disconnect("ann")
    assert begun(tenures, between).ended == [DISCONNECTED]


def test_a_request_that_took_longer_than_is_remembered_is_not_believed(
    tenures: Tenures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure, "REMEMBERED_S", 0.0)
    old = tagged("ann")
    tenures.disconnect("ann")
    until(lambda: time.monotonic() > old.asked_at, "a later moment")
    tenures.disconnect("bob")
    assert [*tenures._disconnected] == ["bob"]
    assert begun(tenures, old).ended == [DISCONNECTED]
