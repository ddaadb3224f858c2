"""`Cursor` against a plain Python set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID, Range, clip, intersect, subtract

UNIVERSE = range(1, 61)
ids = st.integers(min(UNIVERSE), max(UNIVERSE))
id_sets = st.sets(ids)


def ranges_of(numbers: set[int]) -> tuple[Range, ...]:
    runs: list[Range] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)


def cursor_of(delivered: set[int]) -> Cursor:
    cursor = Cursor()
    for number in delivered:
        cursor = cursor.add(number)
    return cursor


def members(cursor: Cursor) -> set[int]:
    return {number for number in UNIVERSE if number in cursor}


def numbers_in(ranges: tuple[Range, ...]) -> set[int]:
    return {n for low, high in ranges for n in range(low, min(high, max(UNIVERSE)) + 1)}


@given(st.lists(ids))
def test_it_holds_what_was_added_in_any_order(added: list[int]) -> None:
    cursor = Cursor()
    for number in added:
        cursor = cursor.add(number)
    assert members(cursor) == set(added)
    assert cursor.position == max(added, default=0)


@given(id_sets)
def test_its_gaps_are_what_is_missing_below_the_position(delivered: set[int]) -> None:
    missing = set(range(1, max(delivered, default=0))) - delivered
    assert cursor_of(delivered).gaps == ranges_of(missing)


@given(id_sets, id_sets)
def test_set_operations_are_those_of_sets(one: set[int], other: set[int]) -> None:
    a, b = cursor_of(one), cursor_of(other)
    assert members(a.union(b)) == one | other
    assert numbers_in(a.difference(b)) == one - other
    assert members(a.retire(ranges_of(other))) == one | other
    assert members(a.without(ranges_of(other))) == one - other


@given(id_sets, ids)
def test_up_to_a_position_keeps_what_is_at_or_below_it(delivered: set[int], at: int) -> None:
    cursor = cursor_of(delivered | {max(UNIVERSE)})
    assert members(cursor.upto(at)) == {n for n in delivered | {max(UNIVERSE)} if n <= at}


@given(id_sets, id_sets)
def test_ranges_are_kept_sorted_disjoint_and_apart(one: set[int], other: set[int]) -> None:
    cursor = cursor_of(one).retire(ranges_of(other)).union(cursor_of(other))
    for (_, high), (low, _) in zip(cursor.holes, cursor.holes[1:], strict=False):
        assert low > high + 1
    assert cursor.holes[-1][1] == MAX_ID


@given(id_sets, id_sets)
def test_equal_sets_are_equal_cursors(one: set[int], other: set[int]) -> None:
    assert (cursor_of(one) == cursor_of(other)) == (one == other)


@given(id_sets, id_sets)
def test_range_arithmetic_is_that_of_sets(one: set[int], other: set[int]) -> None:
    a, b = ranges_of(one), ranges_of(other)
    assert subtract(a, b) == ranges_of(one - other)
    assert intersect(a, b) == ranges_of(one & other)
    assert clip(a, high=30) == ranges_of({n for n in one if n <= 30})


@given(st.integers(0, MAX_ID - 1), st.data())
def test_a_token_parses_to_the_same_cursor(position: int, data: st.DataObject) -> None:
    gaps = data.draw(
        st.lists(st.tuples(st.integers(1, max(1, position - 1)), st.integers(0, 10**6)))
    )
    cursor = Cursor.at(position)
    for low, length in gaps[:20]:
        if low + length < position:
            cursor = cursor.without([(low, low + length)])
    assert Cursor.parse(cursor.token()) == cursor


def test_the_design_s_examples_read_as_they_are_written() -> None:
    assert Cursor.at(120).token() == "120"
    assert Cursor.at(120, [(6, 6)]).token() == "120!114,1"
    assert Cursor.at(120).add(125).token() == "125!1,4"
    assert Cursor().token() == "0"


def test_a_jump_of_a_thousand_million_ids_is_one_gap() -> None:
    assert Cursor.at(7).add(1_000_000_007).gaps == ((8, 1_000_000_006),)


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "-1",
        "+5",
        "1_000",
        "٣",
        "0x1",
        "1.5",
        "01",
        "1 ",
        "1\n",
        "!",
        "5!",
        "5!0,1",
        "5!1",
        "5!1,1,1",
        "5!3,3",
        "5!1,-1",
        "5!1,٣",
        "5!+",
        "5!+B",
        "5!+BBB",
        "5!+g",
        "5!+" + "g" * 30,
        "5!1,1!1,1",
        str(MAX_ID),
        "9" * 19,
        "9" * 4301,
        "1" + "0" * 5000,
        "5!" + "1,1," * 400,
        "5;DROP TABLE posts",
        "5\0",
    ],
)
def test_anything_else_is_no_token(token: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is for no one: it means "reset"
        Cursor.parse(token)


@given(st.text())
def test_hostile_text_never_does_more_than_raise_value_error(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except ValueError:
        return
    assert Cursor.parse(cursor.token()) == cursor


@pytest.mark.parametrize("row_id", [0, -1, MAX_ID, MAX_ID + 1])
def test_an_id_out_of_range_is_refused(row_id: int) -> None:
    with pytest.raises(ValueError, match="id"):
        Cursor().add(row_id)
