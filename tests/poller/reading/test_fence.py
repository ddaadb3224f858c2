"""Each fence's judgement, and a proof by schedules: no gap is closed that fills later.

The state machine plays transactions of any interleaving against the real bookkeeping of holders
and gaps, as PostgreSQL keeps them: ids taken before the insert, savepoints, prepared transactions
that change their name, statements of the poller that fall between any two of these.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from poller.ids.cursor import Cursor
from poller.ids.gaps import NOTHING_KNOWN, Gaps
from poller.ids.ranges import MAX_ID, above, ranges_of
from poller.reading import ahead
from poller.reading.ahead import Ahead
from poller.reading.dialects.mysql_fences import DirtyRead, MetadataLocks, Pending
from poller.reading.dialects.sqlite import SingleWriter
from poller.reading.fence import GracePeriod, Holder, HolderFence, HoldersSeen
from poller.reading.idle import IdleHolders
from poller.reading.snapshot import History, Reading
from poller.wire.row import Row

NO_CONNECTION: Any = None
GAP = (3, 4)
HISTORY = History("here", "abcd")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Locks(HolderFence):
    name = "locks"
    keys_last = True


def holders(*names: str, prepared: tuple[str, ...] = ()) -> HoldersSeen:
    return HoldersSeen(
        [*(Holder(n, f"pid {n}") for n in names), *(Holder(n, "", True) for n in prepared)]
    )


def test_on_sqlite_a_gap_is_dead_in_the_pass_that_sees_it() -> None:
    assert SingleWriter().judge(GAP, None, None) is None


def test_a_gap_is_dead_only_after_it_was_seen_open_for_the_grace() -> None:
    clock = Clock()
    fence = GracePeriod(5.0, clock)
    since = fence.judge(GAP, None, None)
    clock.now += 4.9
    assert fence.judge(GAP, since, None) == since
    clock.now += 0.2
    assert fence.judge(GAP, since, None) is None


def test_a_grace_begins_again_where_another_fence_was_before() -> None:
    clock = Clock()
    assert GracePeriod(5.0, clock).judge(GAP, NOTHING_KNOWN, None) == clock.now


def test_the_pass_that_discovers_a_gap_proves_nothing_about_it() -> None:
    """Its look at the holders is older than the gap."""
    assert Locks().judge(GAP, None, holders()) == NOTHING_KNOWN


def test_a_gap_is_dead_when_no_holder_of_the_first_look_is_left() -> None:
    fence = Locks()
    witness = fence.judge(GAP, NOTHING_KNOWN, holders("a", "b"))
    assert fence.judge(GAP, witness, holders("b", "c")) == holders("b").keys
    assert fence.judge(GAP, witness, holders("c")) is None
    assert fence.judge(GAP, NOTHING_KNOWN, holders()) is None


def test_a_holder_that_is_gone_may_have_been_prepared() -> None:
    fence = Locks()
    witness = fence.judge(GAP, NOTHING_KNOWN, holders("a"))
    witness = fence.judge(GAP, witness, holders("c", prepared=("p",)))
    assert witness == holders("p").keys
    assert fence.judge(GAP, witness, holders("c", prepared=("q",))) is not None
    assert fence.judge(GAP, witness, holders("c")) is None


def test_a_prepared_transaction_of_somebody_else_keeps_no_gap_open() -> None:
    fence = Locks()
    witness = fence.judge(GAP, NOTHING_KNOWN, holders("a"))
    witness = fence.judge(GAP, witness, holders("a", prepared=("p",)))
    assert witness == holders("a").keys


def idle(known: IdleHolders, **since: str | None) -> HoldersSeen:
    """A look at holders that are idle since then; None: at work, or it is not known."""
    return HoldersSeen([Holder(key, key, idle_since=one) for key, one in since.items()], known)


def test_a_gap_that_arose_while_a_holder_was_idle_does_not_wait_for_it() -> None:
    fence, known = Locks(), IdleHolders()
    before = idle(known, a="noon")
    assert fence.judge((3, 4), NOTHING_KNOWN, before) == {"a"}
    before.counted(7)
    after = idle(known, a="noon", b=None)
    assert fence.judge((8, 9), NOTHING_KNOWN, after) == {"b"}
    assert fence.judge((8, 9), frozenset("a"), after) is None
    for not_above in ((3, 4), (7, 7), (6, 9)):
        assert fence.judge(not_above, NOTHING_KNOWN, after) == {"a", "b"}


def test_the_bound_of_an_idle_holder_stays_that_of_its_first_look() -> None:
    known = IdleHolders()
    for counter in (7, 20, 30):
        idle(known, a="noon").counted(counter)
    assert Locks().judge((8, 9), NOTHING_KNOWN, idle(known, a="noon")) is None


def test_a_counter_that_is_set_back_lowers_no_bound() -> None:
    """What was given out before may be the holder's own."""
    known = IdleHolders()
    idle(known, a=None).counted(20)
    idle(known, a="noon").counted(7)
    assert Locks().judge((8, 9), NOTHING_KNOWN, idle(known, a="noon")) == {"a"}
    assert Locks().judge((21, 22), NOTHING_KNOWN, idle(known, a="noon")) is None


@pytest.mark.parametrize(
    "then",
    [
        {"a": "one"},
        {"a": None},
        {"b": "noon"},
    ],
    ids=["it worked meanwhile", "it is at work", "it is another"],
)
def test_a_holder_that_did_anything_since_is_waited_for(then: dict[str, str | None]) -> None:
    known = IdleHolders()
    idle(known, a="noon").counted(7)
    look = idle(known, **then)
    assert Locks().judge((8, 9), NOTHING_KNOWN, look) == then.keys()
    look.counted(30)
    assert Locks().judge((8, 9), NOTHING_KNOWN, idle(known, **then)) == then.keys()
    assert Locks().judge((8, 9), NOTHING_KNOWN, idle(known, a="noon")) == {"a"}


def test_what_was_seen_idle_only_before_the_counter_was_read_proves_nothing() -> None:
    """Two looks, and no counter between them; or none that can be read."""
    known = IdleHolders()
    idle(known, a="noon")
    assert Locks().judge((8, 9), NOTHING_KNOWN, idle(known, a="noon")) == {"a"}


def test_without_evidence_a_gap_keeps_what_is_known_of_it() -> None:
    witness = holders("a").keys
    assert Locks().judge(GAP, witness, None) == witness


def test_nobody_idle_means_nobody_holds_a_lock() -> None:
    assert Locks().idle(holders())
    assert not Locks().idle(holders("a"))


def test_a_gap_is_read_unless_all_of_its_holders_are_still_there() -> None:
    fence, witness = Locks(), holders("a", "b").keys
    assert not fence.must_read(witness, holders("a", "b", "c"))
    assert fence.must_read(witness, holders("a", "c"))
    assert fence.must_read(NOTHING_KNOWN, holders("a", "b"))
    assert fence.must_read(4.5, holders("a", "b"))  # the witness of another fence
    assert fence.must_read(frozenset(), holders("a", "b"))
    assert fence.must_read(witness, None)


def test_where_keys_may_be_used_again_every_gap_is_read() -> None:
    held, fence = holders("a"), MetadataLocks(NO_CONNECTION, NO_CONNECTION, NO_CONNECTION)
    assert fence.must_read(held.keys, (held, Pending([])))
    assert fence.must_read(held.keys, held)
    grace = GracePeriod(5.0, Clock())
    dirty = DirtyRead(NO_CONNECTION, NO_CONNECTION, grace, NO_CONNECTION)
    assert dirty.must_read(1.0, Pending([]))
    assert grace.must_read(1.0, None)


def test_an_uncommitted_row_begins_the_grace_again() -> None:
    clock = Clock()
    fence = DirtyRead(NO_CONNECTION, NO_CONNECTION, GracePeriod(5.0, clock), NO_CONNECTION)
    since = fence.judge(GAP, None, Pending([]))
    clock.now += 9
    since = fence.judge(GAP, since, Pending([4]))
    assert since == clock.now
    clock.now += 4
    assert fence.judge(GAP, since, Pending([9])) == since
    clock.now += 2
    assert fence.judge(GAP, since, Pending([9])) is None


def test_an_uncommitted_row_keeps_a_gap_open_that_no_lock_shows() -> None:
    fence = MetadataLocks(NO_CONNECTION, NO_CONNECTION, NO_CONNECTION)
    witness = fence.judge(GAP, None, (holders("a"), Pending([])))
    witness = fence.judge(GAP, witness, (holders("a"), Pending([3])))
    witness = fence.judge(GAP, witness, (holders(), Pending([3])))
    assert witness is not None
    assert fence.judge(GAP, witness, (holders("later"), Pending([]))) is None


def test_ids_beyond_those_looked_at_count_as_pending() -> None:
    some = Pending([5, 9], covered=9)
    assert some.touches((8, 9))
    assert some.touches((20, 21))
    assert not some.touches((6, 8))


class AnySchedule(RuleBasedStateMachine):
    """One poller, and transactions that take ids, insert, roll back, are prepared and end."""

    def __init__(self) -> None:
        super().__init__()
        self.last_id = 0
        self.names = 0
        self.committed: set[int] = set()
        self.open: dict[str, list[int]] = {}  # transaction → ids it may yet commit
        self.prepared: set[str] = set()
        self.statements: Counter[str] = Counter()  # how many each transaction has begun or ended
        self.fence = Locks()
        self.idle = IdleHolders()
        self.ahead = Ahead()
        self.many_ids, ahead.MANY_IDS = ahead.MANY_IDS, 1
        self.gaps = Gaps()
        self.cursor = Cursor()
        self.delivered: list[int] = []
        self.evidence: HoldersSeen | None = None
        self.looked = False

    def any_of(self, which: int) -> str:
        return sorted(self.open)[which % len(self.open)]

    def since(self, name: str) -> str | None:
        """Since when it is idle, if it is; a prepared one is for good."""
        if name in self.prepared:
            return "prepared"
        done = self.statements[name]
        return None if done % 2 else f"since {done}"

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def it_begins_or_ends_a_statement(self, which: int) -> None:
        """While it is at work it may take an id at any moment; see `it_takes_more`."""
        self.statements[self.any_of(which)] += 1

    def it_works(self, name: str) -> None:
        """A whole statement, or more of the one that is under way."""
        self.statements[name] += 0 if self.statements[name] % 2 else 2

    def new_name(self) -> str:
        self.names += 1
        return f"t{self.names}"

    @rule()
    def a_transaction_takes_its_first_id(self) -> None:
        self.last_id += 1
        self.open[self.new_name()] = [self.last_id]

    @rule()
    def one_row_overtakes_all(self) -> None:
        """What makes gaps of all that is open."""
        self.last_id += 1
        self.committed.add(self.last_id)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), ids=st.integers(1, 3))
    def it_takes_more(self, which: int, ids: int) -> None:
        name = self.any_of(which)
        if name not in self.prepared:
            self.it_works(name)
            self.open[name] += range(self.last_id + 1, self.last_id + 1 + ids)
            self.last_id += ids

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), passes=st.integers(0, 2), prepared=st.booleans())
    def it_takes_one_that_is_overtaken(self, which: int, passes: int, prepared: bool) -> None:
        """The gap that makes mistakes about its owner show."""
        self.it_takes_more(which, 1)
        if prepared:
            self.it_is_prepared(which, renamed=False)
        self.one_row_overtakes_all()
        for _ in range(passes):
            self.the_poller_passes(between=False, told=True)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def it_rolls_back_to_a_savepoint(self, which: int) -> None:
        """Its newest id is dead, and its lock stays."""
        name = self.any_of(which)
        if name not in self.prepared:
            self.it_works(name)
            self.open[name] = self.open[name][:-1]

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), renamed=st.booleans())
    def it_is_prepared(self, which: int, renamed: bool) -> None:
        name = self.any_of(which)
        if name not in self.prepared:
            ids = self.open.pop(name)
            name = f"p{name}" if renamed else name
            self.open[name] = ids
            self.prepared.add(name)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9), commits=st.booleans())
    def it_ends(self, which: int, commits: bool) -> None:
        """Its rows can be seen before its locks are gone; here both go at once."""
        name = self.any_of(which)
        ids = self.open.pop(name)
        if commits:
            self.committed.update(ids)

    @rule()
    def the_poller_looks(self) -> None:
        """Step 1 of a pass, where a gap is open."""
        self.looked = bool(self.gaps.open or self.ahead.gaps.open)
        self.evidence = None
        if self.looked:
            self.evidence = HoldersSeen(
                [Holder(one, one, one in self.prepared, self.since(one)) for one in self.open],
                self.idle,
            )

    @rule(between=st.booleans(), told=st.booleans())
    def the_poller_passes(self, between: bool, told: bool) -> None:
        """In one go; or a gap arises between its two steps. It misses no row that was there before
        it began: no gap is left unread in which one has come."""
        there = set(self.committed)
        self.the_poller_looks()
        if between:
            self.a_transaction_takes_its_first_id()
            self.one_row_overtakes_all()
        self.the_poller_reads(limit=100, told=told)
        assert there <= set(self.delivered)

    @rule(limit=st.sampled_from([1, 2, 100]), told=st.booleans())
    def the_poller_reads(self, limit: int, told: bool) -> None:
        """Step 2; also without a look before it, as while no gap is open. `told`: the counter."""
        position, evidence = self.cursor.position, self.evidence
        passed_over = self.ahead.beyond(position)
        if (self.gaps.open or passed_over.gaps.open) and not self.looked:
            return
        unread, skipped = (
            some.unchanged(lambda one: self.fence.must_read(one, evidence))
            for some in (self.gaps, passed_over.gaps)
        )
        asked = self.cursor.with_gaps(self.gaps.ranges(but=unread))
        asked = passed_over.asked(asked, skipped)
        rows = sorted(i for i in self.committed if i not in asked)[:limit]
        covered = rows[-1] if len(rows) == limit else MAX_ID
        if evidence is not None and told:
            evidence.counted(self.last_id)
        if self.fence.keys_last:
            reading = Reading(HISTORY, self.last_id if told else None, [Row(i, {}) for i in rows])
            judge = partial(self.fence.judge, evidence=evidence)
            self.ahead = passed_over.after(reading, position, limit, judge, skipped)
        self.cursor = self.cursor.retire(ranges_of(rows))
        self.gaps, dead = self.gaps.after_pass(
            ranges_of(rows),
            above(self.cursor.gaps, position),
            covered,
            lambda gap, witness: self.fence.judge(gap, witness, evidence),
            0.0,
            unread,
        )
        self.cursor = self.cursor.retire(dead)
        assert self.gaps.ranges() == self.cursor.gaps
        self.delivered += rows
        self.looked, self.evidence = False, None

    @invariant()
    def no_row_is_given_up_that_may_still_come(self) -> None:
        owed = self.committed.union(*self.open.values()) - set(self.delivered)
        assert not [row_id for row_id in owed if row_id in self.cursor]

    @invariant()
    def nothing_comes_twice(self) -> None:
        assert len(self.delivered) == len(set(self.delivered))

    def teardown(self) -> None:
        try:
            self.everything_arrives()
        finally:
            ahead.MANY_IDS = self.many_ids

    @rule(ids=st.integers(1, 3))
    def a_bulk_begins(self, ids: int) -> None:
        """Nothing overtakes it, so that it lies ahead of the newest row."""
        self.open[self.new_name()] = [*range(self.last_id + 1, self.last_id + 1 + ids)]
        self.last_id += ids

    def everything_arrives(self) -> None:
        """Everything ends: every row arrives, and no gap stays."""
        while self.open:
            self.it_ends(0, commits=True)
        for _ in range(self.last_id + 3):
            self.the_poller_looks()
            self.the_poller_reads(limit=4, told=True)
        assert set(self.delivered) == self.committed
        assert self.cursor.gaps == ()


class KeysUsedAgain(AnySchedule):
    """A transaction may have the key of one that has ended. Then every gap has to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.fence.keys_last = False

    def new_name(self) -> str:
        return next(name for n in range(1000) if (name := f"t{n}") not in self.open)


@pytest.mark.parametrize("believed", [False, True])
def test_a_row_is_hidden_where_a_key_that_is_used_again_is_believed_to_last(
    believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner commits, and another transaction with its key is open at the next look."""
    monkeypatch.setattr(
        ahead, "MANY_IDS", ahead.MANY_IDS
    )  # a schedule sets it, and this has no end
    schedule = KeysUsedAgain()
    schedule.fence.keys_last = believed
    schedule.a_transaction_takes_its_first_id()
    schedule.one_row_overtakes_all()
    schedule.the_poller_passes(between=False, told=True)
    schedule.the_poller_passes(between=False, told=True)
    schedule.it_ends(0, commits=True)
    schedule.a_transaction_takes_its_first_id()
    with pytest.raises(AssertionError) if believed else nullcontext():
        schedule.the_poller_passes(between=False, told=True)


TestAnySchedule = AnySchedule.TestCase
TestKeysUsedAgain = KeysUsedAgain.TestCase
TestKeysUsedAgain.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
TestAnySchedule.settings = hypothesis_settings(
    max_examples=700, stateful_step_count=40, deadline=None
)


class BelievedAfterAChange(IdleHolders):
    """A mutant: who was idle once is taken for idle since."""

    def bounds(self, idle: Mapping[str, str]) -> list[tuple[int, str]]:
        known = ((self._known.get(key), key) for key in idle)
        return sorted((one[1], key) for one, key in known if one)


class BoundReadTooEarly(IdleHolders):
    """A mutant: the counter of the pass before, which no look saw the holder idle before."""

    _last = 0

    def counted(self, idle: Mapping[str, str], counter: int) -> None:
        super().counted(idle, self._last)
        self._last = counter


class PreparedKeepsItsBound(IdleHolders):
    """A mutant: one that was prepared, under the key it had, is taken for idle since its first
    look, though it may have taken an id before it was prepared."""

    def bounds(self, idle: Mapping[str, str]) -> list[tuple[int, str]]:
        prepared = [key for key, since in idle.items() if since == "prepared"]
        older = [(self._known[key][1], key) for key in prepared if key in self._known]
        return sorted({*super().bounds(idle), *older})


def is_found(mutant: type[AnySchedule]) -> None:
    """With the same schedules each time, so that it is found each time."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            mutant,
            settings=hypothesis_settings(
                TestAnySchedule.settings, derandomize=True, database=None, phases=[Phase.generate]
            ),
        )


@pytest.mark.parametrize(
    "mistake", [BelievedAfterAChange, BoundReadTooEarly, PreparedKeepsItsBound]
)
def test_a_mistake_about_idle_holders_is_found(mistake: type[IdleHolders]) -> None:
    class Mutant(AnySchedule):
        def __init__(self) -> None:
            super().__init__()
            self.idle = mistake()

    is_found(Mutant)


def test_what_is_ahead_and_never_read_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(self: Ahead, cursor: Cursor, unread: object) -> Cursor:
        return Cursor((*cursor.gaps, (max(self.top, cursor.position) + 1, MAX_ID)))

    monkeypatch.setattr(Ahead, "asked", asked)
    is_found(AnySchedule)
