"""The bookkeeping of gaps: pure, whatever the fence."""

from hypothesis import given
from hypothesis import strategies as st

from poller.ids.gaps import Gaps, Witness
from poller.ids.ranges import MAX_ID, Range


def alive(_gap: Range, _witness: Witness | None) -> Witness | None:
    return "alive"


def dead(_gap: Range, _witness: Witness | None) -> Witness | None:
    return None


def counting(_gap: Range, witness: Witness | None) -> Witness | None:
    """How often the gap was judged."""
    return 1 if not isinstance(witness, int) else witness + 1


def ranges_of(gaps: Gaps) -> list[Range]:
    return [(gap.low, gap.high) for gap in gaps.open]


def test_the_parts_of_a_split_gap_keep_its_witness_and_its_age() -> None:
    gaps, _ = Gaps().after_pass([(3, 9)], MAX_ID, counting, 1.0)
    gaps, _ = gaps.after_pass([(3, 4), (6, 9), (12, 12)], MAX_ID, counting, 2.0)
    assert [(gap.low, gap.high, gap.witness, gap.since) for gap in gaps.open] == [
        (3, 4, 2, 1.0),
        (6, 9, 2, 1.0),
        (12, 12, 1, 2.0),
    ]


def test_a_full_batch_judges_nothing_beyond_its_last_row() -> None:
    gaps, _ = Gaps().after_pass([(3, 3), (20, 21)], MAX_ID, alive, 0.0)
    gaps, closed = gaps.after_pass([(3, 3), (20, 21)], 10, dead, 1.0)
    assert closed == ((3, 3),)
    assert ranges_of(gaps) == [(20, 21)]


def test_a_gap_beyond_the_limit_is_not_known_before_a_pass_covered_it() -> None:
    gaps, closed = Gaps().after_pass([(20, 21)], 10, counting, 0.0)
    assert (gaps.open, closed) == ((), ())


def test_the_floor_is_judged_as_one_gap_and_is_none_of_those_read() -> None:
    gaps = Gaps.at_start([(50, 52)], 40, counting, 5.0)
    assert ranges_of(gaps) == [(50, 52)]
    assert [(gap.low, gap.high) for gap in gaps.all] == [(1, 40), (50, 52)]
    gaps, _ = gaps.after_pass([(50, 52)], MAX_ID, counting, 6.0)
    assert gaps.floor is not None
    assert (gaps.floor.witness, gaps.floor.since) == (2, 5.0)
    gaps, closed = gaps.after_pass([(50, 52)], MAX_ID, dead, 7.0)
    assert (gaps.floor, gaps.open, closed) == (None, (), ((50, 52),))


def test_where_no_gap_can_fill_there_is_no_floor() -> None:
    assert Gaps.at_start([], 40, dead, 0.0).floor is None


@given(st.lists(st.integers(1, 50), unique=True), st.integers(0, 110))
def test_every_gap_is_open_or_dead_after_a_pass_and_none_is_both(
    lows: list[int], covered: int
) -> None:
    ranges = [(low * 2, low * 2) for low in sorted(lows)]
    gaps, _ = Gaps().after_pass(ranges, MAX_ID, alive, 0.0)
    gaps, closed = gaps.after_pass(ranges, covered, dead, 1.0)
    assert [*closed] == [r for r in ranges if r[0] <= covered]
    assert ranges_of(gaps) == [r for r in ranges if r[0] > covered]
