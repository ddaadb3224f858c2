"""The tokens on the way from one set of ids to another, against plain sets."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.ids import cursor_token, runs, steps
from poller.ids.cursor import Cursor
from poller.ids.cursor_token import parse_token
from poller.ids.named import Named
from poller.ids.ranges import ranges_of
from poller.ids.steps import Steps
from tests.harness.little_room import little_room

TOP = 60
id_sets = st.frozensets(st.integers(1, TOP))
some_ids = st.frozensets(st.integers(1, TOP), min_size=1)


def cursor_of(ids: frozenset[int]) -> Cursor:
    return Cursor().retire(ranges_of(sorted(ids)))


def ids_of(cursor: Cursor) -> frozenset[int]:
    return frozenset(i for i in range(1, TOP + 1) if i in cursor)


def way_of(before: frozenset[int], rows: frozenset[int], dead: frozenset[int]) -> Steps:
    taken = ranges_of(sorted((rows | dead) - before))
    return Steps(Named.of(cursor_of(before)), taken, min(rows), max(rows))


@given(id_sets, some_ids, id_sets)
def test_each_token_is_the_new_set_up_to_its_row_and_the_old_one_above(
    before: frozenset[int], rows: frozenset[int], dead: frozenset[int]
) -> None:
    rows -= before
    if not rows:
        return
    way = way_of(before, rows, dead)
    for row_id in sorted(rows):
        known = before | {i for i in rows | dead if i <= row_id}
        assert ids_of(Cursor.parse(way.token(row_id))) == known, row_id
        assert parse_token(way.token(row_id)).mark is None
        assert way.change.at(row_id, way.mark(row_id)) == Named.of(cursor_of(known))
        assert way.change.position_at(row_id) == max(known)


@pytest.mark.parametrize("most", [24, 30, 40])
@given(id_sets, some_ids, id_sets)
def test_a_token_without_room_names_less_and_always_its_own_row(
    most: int, before: frozenset[int], rows: frozenset[int], dead: frozenset[int]
) -> None:
    rows -= before
    if not rows:
        return
    with little_room(most):
        way = way_of(before, rows, dead)
        for row_id in sorted(rows):
            token = way.token(row_id)
            assert len(token) <= most
            known = before | {i for i in rows | dead if i <= row_id}
            told = ids_of(Cursor.parse(token))
            assert row_id in told
            assert told <= known
            mark = parse_token(token).mark
            assert mark in (None, Named.of(cursor_of(known)).mark)
            assert mark is not None or told == known or "!" not in token


def test_a_row_costs_no_more_codes_however_many_gaps_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written anew for each row, 2,970 gaps made a token of a millisecond and a half."""
    top = 100_000
    held = Cursor.at(top, [(i, i) for i in range(top - 2 * 2_970, top, 2)])
    rows = [low for low, _ in held.gaps]
    named = Named.of(held)
    written: list[int] = []
    code, codes = runs.code, runs.codes

    def noted_code(run: int, power: int) -> str:
        written.append(1)
        return code(run, power)

    def noted_codes(many: Sequence[int], powers: runs.Powers) -> list[str]:
        written.append(len(many))
        return codes(many, powers)

    monkeypatch.setattr(steps, "code", noted_code)
    for module in (steps, cursor_token):
        monkeypatch.setattr(module, "codes", noted_codes)
    way = Steps(named, held.gaps, rows[0], rows[-1])
    tokens = [way.token(row_id) for row_id in rows]
    assert len(set(tokens)) == len(rows)
    assert sum(written) < 4 * len(rows)
