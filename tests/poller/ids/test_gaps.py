"""The bookkeeping of gaps: pure, whatever the fence."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from poller.ids.gaps import NOTHING_KNOWN, Gaps, Part, Witness
from poller.ids.ranges import MAX_ID, Range, ranges_of


def alive(_gap: Range, _witness: Witness | None) -> Witness | None:
    return "alive"


def dead(_gap: Range, _witness: Witness | None) -> Witness | None:
    return None


def counting(_gap: Range, witness: Witness | None) -> Witness | None:
    """How often the gap was judged."""
    return 1 if not isinstance(witness, int) else witness + 1


def test_the_parts_of_a_split_gap_keep_its_witness_and_its_age() -> None:
    gaps, _ = Gaps().after_pass((), [(3, 9)], MAX_ID, counting, 1.0)
    gaps, _ = gaps.after_pass([(5, 5), (10, 11)], [(12, 12)], MAX_ID, counting, 2.0)
    assert gaps.open == (Part(((3, 4), (6, 9)), 2, 1.0), Part(((12, 12),), 1, 2.0))


def test_a_full_batch_judges_nothing_beyond_its_last_row() -> None:
    gaps, _ = Gaps().after_pass((), [(3, 3), (20, 21)], MAX_ID, alive, 0.0)
    gaps, closed = gaps.after_pass((), (), 10, dead, 1.0)
    assert closed == ((3, 3),)
    assert gaps.ranges() == ((20, 21),)


def test_of_a_gap_that_reaches_beyond_the_limit_only_the_part_below_it_is_judged() -> None:
    gaps, _ = Gaps().after_pass((), [(3, 30)], MAX_ID, alive, 0.0)
    gaps, closed = gaps.after_pass((), [(40, 50)], 20, dead, 1.0)
    assert closed == ((3, 20),)
    assert gaps.open == (Part(((21, 30),), "alive", 0.0), Part(((40, 50),), NOTHING_KNOWN, 1.0))


def test_of_a_gap_beyond_the_limit_nothing_is_known_before_a_pass_covered_it() -> None:
    gaps, closed = Gaps().after_pass((), [(20, 21)], 10, counting, 0.0)
    assert (gaps.open, closed) == ((Part(((20, 21),), NOTHING_KNOWN, 0.0),), ())


def test_a_gap_that_was_not_asked_for_is_not_judged() -> None:
    """That its row was not there says nothing."""
    gaps, _ = Gaps().after_pass((), [(3, 3)], MAX_ID, alive, 0.0)
    gaps, closed = gaps.after_pass((), [(9, 9)], MAX_ID, dead, 5.0, frozenset({"alive"}))
    assert closed == ((9, 9),)
    assert gaps.open == (Part(((3, 3),), "alive", 0.0),)


def test_the_fence_is_asked_once_a_witness_which_gaps_to_read() -> None:
    gaps = Gaps(tuple(Part(((n, n),), n % 2, 0.0) for n in range(1, 100, 2)))
    gaps = replace(gaps, open=(*gaps.open, Part(((200, 200),), "other", 0.0)))
    asked: list[Witness] = []

    def must_read(witness: Witness) -> bool:
        asked.append(witness)
        return witness == "other"

    unread = gaps.unchanged(must_read)
    assert sorted(asked, key=str) == [1, "other"]
    assert gaps.ranges(but=unread) == ((200, 200),)


def test_gaps_found_within_a_second_become_one_part_once_they_have_one_witness() -> None:
    gaps = Gaps()
    for n, now in enumerate([0.0, 0.5, 0.9, 1.1, 1.5]):
        gaps, _ = gaps.after_pass((), [(2 * n + 1, 2 * n + 1)], MAX_ID, alive, now)
    assert [(len(part.ranges), part.since) for part in gaps.open] == [(3, 0.0), (2, 1.1)]


def test_the_floor_is_judged_as_one_gap_and_is_none_of_those_read() -> None:
    gaps = Gaps.at_start([(50, 52)], 40, counting, 5.0)
    assert gaps.ranges() == ((50, 52),)
    assert [part.ranges for part in gaps.all] == [((1, 40),), ((50, 52),)]
    gaps, _ = gaps.after_pass((), (), MAX_ID, counting, 6.0)
    assert gaps.floor is not None
    assert (gaps.floor.witness, gaps.floor.since) == (2, 5.0)
    gaps, closed = gaps.after_pass((), (), MAX_ID, dead, 7.0)
    assert (gaps.floor, gaps.open, closed) == (None, (), ((50, 52),))


def test_where_no_gap_can_fill_there_is_no_floor() -> None:
    assert Gaps.at_start([], 40, dead, 0.0).floor is None


def test_after_a_fault_nothing_is_known_of_any() -> None:
    gaps = Gaps.at_start([(50, 52)], 40, alive, 5.0).afresh()
    assert [part.witness for part in gaps.all] == [NOTHING_KNOWN] * 2


some_ids = st.frozensets(st.integers(1, 40))


class AnyPasses(RuleBasedStateMachine):
    """Passes that find rows, cover some ids and judge some gaps, against a plain set of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps = Gaps()
        self.position = 0
        self.missing: dict[int, Witness] = {}  # id → its witness

    @rule(
        rows=some_ids,
        ahead=st.frozensets(st.integers(1, 12)),
        covered=st.integers(0, 80) | st.just(MAX_ID),
        judgements=st.lists(st.sampled_from(["a", "b", None]), min_size=1),
        unread=st.frozensets(st.sampled_from(["a", "b"])),
    )
    def a_pass(
        self,
        rows: frozenset[int],
        ahead: frozenset[int],
        covered: int,
        judgements: list[str | None],
        unread: frozenset[Witness],
    ) -> None:
        def judge(gap: Range, witness: Witness | None) -> Witness | None:
            asked.append(gap)
            return judgements[(gap[0] + len(str(witness))) % len(judgements)]

        asked: list[Range] = []
        late = {i for i in rows if i in self.missing and self.missing[i] not in unread}
        higher = {self.position + i for i in ahead}
        top = max(higher, default=self.position)
        fresh = set(range(self.position + 1, top)) - higher
        before, self.position = dict(self.missing), top
        found = ranges_of(sorted(late | higher))
        new = ranges_of(sorted(fresh))
        self.gaps, dead = self.gaps.after_pass(found, new, covered, judge, 0.0, unread)
        left = {**dict.fromkeys(fresh, NOTHING_KNOWN), **before}
        left = {i: witness for i, witness in left.items() if i not in late}
        judged = {i for low, high in asked for i in range(low, high + 1)}
        assert judged == {i for i in left if i <= covered and before.get(i, "") not in unread}
        died = {i for low, high in dead for i in range(low, high + 1)}
        assert died <= judged
        after = {i: part.witness for part in self.gaps.open for i in ids_of(part.ranges)}
        assert after.keys() == left.keys() - died
        assert all(after[i] == left[i] for i in after.keys() - judged)
        self.missing = after

    @invariant()
    def each_id_is_in_one_part_and_parts_are_sorted(self) -> None:
        ids = [i for part in self.gaps.open for i in ids_of(part.ranges)]
        assert len(ids) == len(set(ids))
        assert all(list(part.ranges) == sorted(part.ranges) for part in self.gaps.open)
        assert self.gaps.ranges() == tuple(sorted(self.gaps.ranges()))


def ids_of(ranges: Sequence[Range]) -> Iterator[int]:
    return (i for low, high in ranges for i in range(low, high + 1))


TestAnyPasses = AnyPasses.TestCase
TestAnyPasses.settings = hypothesis_settings(max_examples=60, stateful_step_count=12, deadline=None)
