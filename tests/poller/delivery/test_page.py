"""Pages: what one says of whose ids, and the frames made of it, against plain sets."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.delivery import page
from poller.delivery.page import Page, paged
from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.ids.ranges import Range, ranges_of
from poller.wire import event_id

TOP = 40
id_sets = st.frozensets(st.integers(1, TOP))
some_ids = st.frozensets(st.integers(1, TOP), min_size=1)


def ranges(ids: frozenset[int]) -> tuple[Range, ...]:
    return ranges_of(sorted(ids))


def page_of(table: frozenset[int], asked: frozenset[int]) -> Page:
    return Page(ranges(asked), [(one, b"data: %d\n\n" % one) for one in sorted(table & asked)])


def ids_in(of: Page) -> frozenset[int]:
    return frozenset(i for low, high in of.asked for i in range(low, high + 1))


def at(position: int) -> Named:
    return Named.of(Cursor.at(position))


def held_ids(cursor: Cursor) -> frozenset[int]:
    return frozenset(i for i in range(1, TOP + 1) if i in cursor)


@given(id_sets, some_ids, some_ids)
def test_a_part_says_what_a_query_of_its_own_would_have_said(
    table: frozenset[int], asked: frozenset[int], wanted: frozenset[int]
) -> None:
    whole = page_of(table, asked)
    assert {i for i in range(1, TOP + 1) if i in whole} == asked
    if min(wanted) not in whole:
        return
    part = whole.part(ranges(wanted))
    assert part.rows == page_of(table, ids_in(part)).rows
    unknown = wanted - asked
    assert ids_in(part) == {i for i in wanted & asked if not unknown or i < min(unknown)}


@given(id_sets, some_ids, st.integers(1, 60))
def test_pages_cut_to_size_say_the_same_together(
    table: frozenset[int], asked: frozenset[int], most: int
) -> None:
    usual, page.PAGE_BYTES = page.PAGE_BYTES, most
    try:
        whole = page_of(table, asked)
        cut = paged(whole.asked, whole.rows)
    finally:
        page.PAGE_BYTES = usual
    assert [row for one in cut for row in one.rows] == whole.rows
    assert sorted(i for one in cut for i in ids_in(one)) == sorted(asked)
    assert all(before.upto < after.asked[0][0] for before, after in itertools.pairwise(cut))
    for one in cut:
        assert len(one.rows) <= 1 or sum(len(body) for _, body in one.rows) <= most


@given(id_sets, some_ids, id_sets, id_sets)
def test_each_id_names_only_rows_sent_or_proven(
    table: frozenset[int], asked: frozenset[int], others: frozenset[int], doubtful: frozenset[int]
) -> None:
    before = Cursor().retire(ranges(others - asked))
    unproven = doubtful - held_ids(before)
    frames, after = page_of(table, asked).framed("abcd", Named.of(before), ranges(unproven))
    told = [event_id.parse_last_event_id(one) for one in re.findall(r"id: (\S+)", frames.decode())]
    sent: set[int] = set()
    for row_id, resume in zip(sorted(table & asked), told, strict=True):
        assert resume is not None
        sent.add(row_id)
        named = held_ids(resume.cursor)
        assert held_ids(before) | sent <= named
        assert not named & unproven - sent
        assert named <= held_ids(before) | sent | (asked - table)
    assert held_ids(after.cursor) == held_ids(before) | sent | (asked - unproven)


@pytest.mark.parametrize(
    "other",
    [("abcd01", at(1), ()), ("abcd", at(0), ()), ("abcd", at(1), ((4, 4),))],
    ids=["epoch", "held", "unproven"],
)
def test_frames_are_made_once_for_the_same_client_and_again_for_another(
    other: tuple[str, Named, tuple[Range, ...]],
) -> None:
    table = asked = frozenset({2, 3})
    one = page_of(table, asked | {4})
    first = one.framed("abcd", at(1), ())
    assert one.framed("abcd", at(1), ())[0] is first[0]
    assert one.framed(*other) == page_of(table, asked | {4}).framed(*other) != first
