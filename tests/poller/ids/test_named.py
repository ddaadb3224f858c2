"""Sets and what a token says of them, from one to the next, against plain sets."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from poller.ids import cursor_token
from poller.ids.cursor import Cursor
from poller.ids.cursor_token import MAX_TOKEN_CHARS, ROOM_CHARS, parse_token
from poller.ids.named import Named
from poller.ids.ranges import Range, ranges_of
from poller.ids.steps import Steps
from tests.harness.little_room import little_room

TOP = 80
MOST_CHARS = 30
ids_below = st.frozensets(st.integers(1, TOP), max_size=20)
steps_above = st.frozensets(st.integers(1, 12), max_size=6)


def ids_of(cursor: Cursor, top: int) -> set[int]:
    return {i for i in range(1, top + 1) if i in cursor}


class AnyChanges(RuleBasedStateMachine):
    """One set that grows by rows and by dead ids, with little room in its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.room = little_room(MOST_CHARS)
        self.room.__enter__()
        self.ids: set[int] = set()
        self.named = Named.of(Cursor())

    @rule(late=ids_below, ahead=steps_above, dead=ids_below)
    def rows_come(self, late: frozenset[int], ahead: frozenset[int], dead: frozenset[int]) -> None:
        top = max(self.ids, default=0)
        rows = sorted({i for i in late if i < top and i not in self.ids} | {top + i for i in ahead})
        gone = {i for i in dead if i < top and i not in self.ids}
        taken = ranges_of(sorted(gone.union(rows)))
        if rows:
            self.each_row_is_named(Steps(self.named, taken, rows[0], rows[-1]), rows, gone)
        self.named = self.named.then(taken)
        self.ids |= gone.union(rows)

    def each_row_is_named(self, way: Steps, rows: list[int], gone: set[int]) -> None:
        for row_id in rows:
            known = self.ids | {i for i in gone.union(rows) if i <= row_id}
            token = way.token(row_id)
            said = ids_of(Cursor.parse(token), max(known))
            assert row_id in said
            assert said <= known
            if said != known and "!" in token:
                assert parse_token(token).mark == way.mark(row_id)
            self.holds_what_it_says(way.change.at(row_id, way.mark(row_id)), known)

    @rule(ids=ids_below)
    def ids_are_taken_back(self, ids: frozenset[int]) -> None:
        """As of a client, of ids that nothing is known of."""
        self.named = self.named.without(ranges_of(sorted(ids)))
        self.ids -= ids

    @invariant()
    def it_is_the_set(self) -> None:
        self.holds_what_it_says(self.named, self.ids)

    def holds_what_it_says(self, named: Named, ids: set[int]) -> None:
        top = max(ids, default=0)
        assert named.cursor.holes == Cursor().retire(ranges_of(sorted(ids))).holes
        assert named.position == top
        assert named.mark == Named.of(named.cursor).mark
        hulls = [set(range(low, high + 1)) for low, high in named.gaps]
        missing = set(range(1, top + 1)) - ids
        assert missing <= set[int]().union(*hulls)
        assert all(hull & missing for hull in hulls)
        assert all(max(one) + 1 < min(other) for one, other in pairwise(hulls))
        assert all(max(hull) < top for hull in hulls)
        token = named.token()
        assert len(token) <= MOST_CHARS
        assert ids_of(Cursor.parse(token), top) <= ids
        assert (parse_token(token).mark is None) == named.is_exact or "!" not in token

    def teardown(self) -> None:
        self.room.__exit__(None, None, None)


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=12, deadline=None
)


@given(ids_below, ids_below)
def test_two_sets_have_one_mark_only_if_they_are_one(
    one: frozenset[int], other: frozenset[int]
) -> None:
    marks = {Named.of(Cursor().retire(ranges_of(sorted(ids)))).mark for ids in (one, other)}
    assert (len(marks) == 1) == (one == other)


def test_a_mark_is_the_same_in_every_process() -> None:
    assert f"{Named.of(Cursor.at(9, [(3, 4)])).mark:016x}" == "cb87f25b9ee328f8"


# -- sizes ----------------------------------------------------------------------------------


def singles(count: int, top: int, seed: int = 7) -> list[Range]:
    """So many gaps of one id among those below `top`."""
    chance = random.Random(seed)
    places = sorted(chance.sample(range(1, top - count), count))
    return [(place + before, place + before) for before, place in enumerate(places)]


def test_while_a_token_has_room_every_gap_is_named() -> None:
    cursor = Cursor.at(900, [(n, n) for n in range(10, 900, 10)])
    assert Named.of(cursor).is_exact


def test_room_for_a_batch_is_left_in_every_token() -> None:
    named = Named.of(Cursor.at(12_000, singles(4_000, 12_000)))
    assert not named.is_exact
    assert len(parse_token(named.token()).gaps) > 300
    for _ in range(20):
        above = named.position
        named = named.then([(above + n, above + n) for n in range(2, 600, 3)])
        assert len(named.token()) <= MAX_TOKEN_CHARS - ROOM_CHARS + len("!") + 11


def test_gaps_are_not_merged_anew_for_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 open gaps, and batches with a gap each: merging takes milliseconds."""
    merged: list[int] = []
    merge = cursor_token._merged

    def noted(position: int, gaps: list[Range], max_chars: int) -> object:
        merged.append(len(gaps))
        return merge(position, gaps, max_chars)

    monkeypatch.setattr(cursor_token, "_merged", noted)
    named = Named.of(Cursor.at(200_000, singles(50_000, 200_000)))
    for _ in range(500):
        named = named.then([(named.position + 2, named.position + 2)])
    assert len(named.cursor.gaps) == 50_500
    assert merged[0] == 50_000
    assert 1 <= len(merged[1:]) < 20
    assert max(merged[1:]) < 3_500


def test_a_name_is_exact_again_once_few_gaps_are_left() -> None:
    named = Named.of(Cursor.at(60_000, singles(20_000, 60_000)))
    gaps = named.cursor.gaps
    while len(named.cursor.gaps) > 500:
        assert not named.is_exact or len(named.cursor.gaps) < 3_000
        named = named.then(named.cursor.gaps[:500])
    assert named.is_exact
    assert named.cursor.gaps == gaps[-len(named.cursor.gaps) :]


def test_a_hull_shrinks_to_what_is_left_of_it() -> None:
    named = Named.of(Cursor.at(60_000, singles(20_000, 60_000)))
    hull = max(named.gaps, key=lambda one: one[1] - one[0])
    inside = [one for one in named.cursor.gaps if hull[0] <= one[0] <= hull[1]]
    assert len(inside) > 3
    named = named.then(inside[:2])
    assert (inside[2][0], hull[1]) in named.gaps
    named = named.then(inside[2:])
    assert not [one for one in named.gaps if hull[0] <= one[0] <= hull[1]]
