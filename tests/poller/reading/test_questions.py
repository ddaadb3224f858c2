"""What a page asks the database: few statements, made once, whatever ranges a client names."""

from itertools import chain, pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from poller.ids.ranges import MAX_ID, Range, ranges_of
from poller.reading.questions import LISTED_IDS, WIDE_RANGES, Questions, parts

TABLE = sa.Table("notes", sa.MetaData(), sa.Column("id", sa.BigInteger), sa.Column("body", sa.Text))


@st.composite
def any_ranges(draw: st.DrawFn) -> list[Range]:
    at, found = 0, []
    for apart, size in draw(
        st.lists(st.tuples(st.integers(1, 60), st.integers(1, 900)), min_size=1)
    ):
        found.append((at + apart + 1, at + apart + size))
        at = found[-1][1]
    return found


@given(any_ranges(), st.integers(1, 600))
def test_parts_say_all_ranges_once_the_lowest_first(ranges: list[Range], limit: int) -> None:
    of_parts = list(parts(ranges, limit))
    said = [sorted([*ranges_of(part.listed), *part.wide]) for part in of_parts]
    ids = list(chain.from_iterable(range(low, high + 1) for one in said for low, high in one))
    assert ids == list(chain.from_iterable(range(low, high + 1) for low, high in ranges))
    for before, after in pairwise(said):
        assert before[-1][1] < after[0][0]
    for part in of_parts:
        assert len(part.listed) <= LISTED_IDS
        assert len(part.wide) <= WIDE_RANGES


@given(any_ranges(), st.integers(1, 600))
def test_the_first_part_asks_for_few_ids_more_than_rows_are_wanted(
    ranges: list[Range], limit: int
) -> None:
    first = next(parts(ranges, limit))
    longest = max(high - low + 1 for low, high in ranges)
    assert first.ids < limit + longest


@pytest.mark.parametrize(
    ("ranges", "statements"),
    [
        ([(i, i) for i in range(1, 1_000, 2)], 1),
        ([(i, i + 32) for i in range(1, 500 * 34, 34)], 17),
        ([(i, i + 600) for i in range(1, 500 * 1_000, 1_000)], 18),
        ([(i, i + 10**9) for i in range(1, 500 * 10**10, 10**10)], 500 // WIDE_RANGES + 8),
        ([(1, MAX_ID)], 1),
    ],
    ids=["of 1", "of 33", "of 600", "of a milliard", "all"],
)
def test_500_ranges_are_few_statements_of_few_shapes_even_where_all_are_empty(
    ranges: list[Range], statements: int
) -> None:
    """A union of 16 parts took 3 ms to put together, for each statement of each page."""
    questions = Questions(TABLE.c.id, [TABLE.c.body])
    asked = list(questions.about(ranges, 500))
    assert len(asked) <= statements
    again = list(questions.about([(low + 1, high + 1) for low, high in ranges[:-1]], 500))
    assert len({id(statement) for statement, _ in asked + again}) <= 6


def test_where_rows_are_found_nothing_beyond_them_is_asked_for() -> None:
    """742 gaps of 33 rows were 47 statements for each page of them, and 52 s of CPU."""
    first, *_ = parts([(i, i + 32) for i in range(1, 742 * 34, 34)], 500)
    assert 500 <= first.ids < 533
