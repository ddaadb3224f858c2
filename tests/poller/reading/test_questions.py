"""What a page asks the database: few statements, made once, whatever ranges a client names."""

from itertools import chain, pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from poller.ids.ranges import MAX_ID, Range, ranges_of
from poller.reading.conditions import FORMS, UNION, WIDE_RANGES, Form
from poller.reading.questions import Questions, parts

ALL_FORMS = pytest.mark.parametrize("form", [UNION, *FORMS.values()], ids=["union", *FORMS])
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


@ALL_FORMS
@given(ranges=any_ranges(), limit=st.integers(1, 600))
def test_parts_say_all_ranges_once_the_lowest_first(
    form: Form, ranges: list[Range], limit: int
) -> None:
    of_parts = list(parts(ranges, limit, form))
    said = [sorted([*ranges_of(part.listed), *part.wide]) for part in of_parts]
    ids = list(chain.from_iterable(range(low, high + 1) for one in said for low, high in one))
    assert ids == list(chain.from_iterable(range(low, high + 1) for low, high in ranges))
    for before, after in pairwise(said):
        assert before[-1][1] < after[0][0]
    for part in of_parts:
        assert len(part.listed) <= form.listed_ids
        assert len(part.wide) <= form.wide_ranges


@given(any_ranges(), st.integers(1, 600))
def test_the_first_part_asks_for_few_ids_more_than_rows_are_wanted(
    ranges: list[Range], limit: int
) -> None:
    first = next(parts(ranges, limit, UNION))
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
    questions = Questions("sqlite", TABLE.c.id, [TABLE.c.body])
    asked = list(questions.about(ranges, 500))
    assert len(asked) <= statements
    again = list(questions.about([(low + 1, high + 1) for low, high in ranges[:-1]], 500))
    assert len({id(statement) for statement, _ in asked + again}) <= 6


def test_where_rows_are_found_nothing_beyond_them_is_asked_for() -> None:
    """742 gaps of 33 rows were 47 statements for each page of them, and 52 s of CPU."""
    first, *_ = parts([(i, i + 32) for i in range(1, 742 * 34, 34)], 500, UNION)
    assert 500 <= first.ids < 533


@pytest.mark.parametrize("dialect", FORMS)
@pytest.mark.parametrize("count", [2, 100, 4_000])
def test_gaps_of_any_number_are_one_statement_which_is_made_once(dialect: str, count: int) -> None:
    """1,000 gaps between ids that are 100 apart were 32 statements, each a union of 32."""
    questions = Questions(dialect, TABLE.c.id, [TABLE.c.body], few_rows=True)
    ((first, _),) = questions.about([(1, 1), (101, 199), (201, MAX_ID)], 500)
    gaps = [(100 * n + 1, 100 * n + 99) for n in range(3, count + 2)]
    ((statement, bounds),) = questions.about([(2, 2), *gaps, (100 * count + 900, MAX_ID)], 500)
    assert statement is first
    assert len(bounds) < 6
