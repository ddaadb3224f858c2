"""Which gaps are dead: the bookkeeping, and each fence."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from poller.cursor import MAX_ID
from poller.fence import Gaps, GracePeriod, SingleWriter, fence_for

NO_CONNECTION: Any = None


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def grace(clock: Clock, seconds: float = 5.0) -> GracePeriod:
    return GracePeriod(seconds, clock, "no proof")


def test_on_sqlite_a_gap_is_dead_in_the_pass_that_sees_it() -> None:
    fence = SingleWriter()
    gaps, dead = Gaps().after_pass([(3, 4)], MAX_ID, lambda w: fence.judge(w, None))
    assert dead == ((3, 4),)
    assert gaps.open == ()


def test_a_gap_is_dead_only_after_it_was_seen_open_for_the_grace() -> None:
    clock = Clock()
    fence = grace(clock)

    def judge(witness: object) -> object:
        return fence.judge(witness, fence.look(NO_CONNECTION))

    gaps, dead = Gaps().after_pass([(3, 4)], MAX_ID, judge)
    assert dead == ()
    clock.now += 4.9
    gaps, dead = gaps.after_pass([(3, 4)], MAX_ID, judge)
    assert dead == ()
    clock.now += 0.2
    gaps, dead = gaps.after_pass([(3, 4)], MAX_ID, judge)
    assert dead == ((3, 4),)


def test_the_parts_of_a_gap_that_a_row_split_are_as_old_as_it_was() -> None:
    clock = Clock()
    fence = grace(clock)

    def judge(witness: object) -> object:
        return fence.judge(witness, None)

    gaps, _ = Gaps().after_pass([(3, 9)], MAX_ID, judge)
    clock.now += 3
    gaps, _ = gaps.after_pass([(3, 4), (6, 9), (12, 12)], MAX_ID, judge)
    clock.now += 3
    _, dead = gaps.after_pass([(3, 4), (6, 9), (12, 12)], MAX_ID, judge)
    assert dead == ((3, 4), (6, 9))


def test_a_pass_cut_off_by_its_limit_proves_nothing_beyond_its_last_row() -> None:
    clock = Clock()
    fence = grace(clock, 0.0)

    def judge(witness: object) -> object:
        return fence.judge(witness, None)

    gaps, _ = Gaps().after_pass([(3, 3), (20, 21)], MAX_ID, judge)
    clock.now += 1
    gaps, dead = gaps.after_pass([(3, 3), (20, 21)], 10, judge)
    assert dead == ((3, 3),)
    assert [(gap.low, gap.high) for gap in gaps.open] == [(20, 21)]


@given(st.lists(st.integers(1, 50), unique=True), st.integers(0, 60))
def test_every_gap_is_open_or_dead_after_a_pass_and_none_is_both(
    lows: list[int], covered: int
) -> None:
    ranges = [(low * 2, low * 2) for low in sorted(lows)]
    gaps, dead = Gaps().after_pass(ranges, covered, lambda _: None)
    assert dead == tuple(r for r in ranges if r[0] <= covered)
    assert gaps.open == ()


def test_only_sqlite_has_a_proof_so_far_and_the_others_say_so() -> None:
    assert fence_for("sqlite", 5.0, Clock()).degraded == ""
    for dialect in ("postgresql", "mariadb", "mysql", "oracle"):
        assert "5 s" in fence_for(dialect, 5.0, Clock()).degraded
