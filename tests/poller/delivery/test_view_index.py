"""The index of views, against a model that looks at every row."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.delivery.entry import Entry
from poller.delivery.view import ALL, View
from poller.delivery.view_index import OpenView, ViewIndex
from poller.ids.cursor import Cursor
from poller.ids.named import Change, Named
from poller.wire.exact import NO_VALUE, Exact

FILTERS = ("room", "owner")
Values = tuple[Exact, ...]
VIEWS = (
    ALL,
    View.of({}, ["id"]),
    View.of({"room": [1]}),
    View.of({"room": [1, 2, None]}),
    View.of({"owner": ["ann"]}),
    View.of({"owner": ["ann", "ben"], "room": [2, 3]}),
    View.of({"room": [True]}),
)
NOTHING = Named.of(Cursor())
values = st.tuples(
    st.sampled_from([1, 2, 3, None, NO_VALUE]), st.sampled_from(["ann", "ben", "Ann", None])
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), values),
        st.tuples(st.just("evict"), st.none()),
        st.tuples(st.just("open"), st.sampled_from(VIEWS)),
        st.tuples(st.just("close"), st.sampled_from(VIEWS)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=60,
)


def entry(row: Values) -> Entry:
    return Entry(1, Change(NOTHING, NOTHING), 1, 0, b"", 0, row)


def is_in(view: View, row: Values) -> bool:
    asked, found = view.filter, dict(zip(FILTERS, row, strict=True))
    return all(found[name] in asked[name] for name in asked)


class Ring:
    """Rows from `oldest` on, and the newest row of each open view that left."""

    def __init__(self) -> None:
        self.index = ViewIndex(FILTERS)
        self.rows: list[Values] = []
        self.oldest = 0
        self.opened: dict[View, OpenView] = {ALL: self.index.everything}
        self.gone = {ALL: 0}

    def step(self, what: str, given: object) -> None:
        getattr(self, what)(given)

    def append(self, row: Values) -> None:
        self.index.append(entry(row), self.oldest + len(self.rows))
        self.rows.append(row)

    def evict(self, _: object) -> None:
        if self.rows:
            row = self.rows.pop(0)
            self.index.evict(entry(row), self.oldest)
            self.oldest += 1
            self.gone |= {view: self.oldest for view in self.opened if is_in(view, row)}

    def open(self, view: View) -> None:
        opened = self.index.open(view, self.oldest, map(entry, self.rows))
        assert self.opened.setdefault(view, opened) is opened
        self.gone.setdefault(view, self.oldest)

    def close(self, view: View) -> None:
        if view in self.opened and self.opened[view].streams > (view == ALL):
            self.index.close(self.opened[view])
            if not self.opened[view].streams:
                del self.opened[view], self.gone[view]

    def clear(self, _: object) -> None:
        self.index.clear()
        self.oldest, self.rows = self.oldest + len(self.rows), []

    def seqs(self, view: View, since: int) -> list[int]:
        return [
            seq
            for seq, row in enumerate(self.rows, start=self.oldest)
            if seq >= since and is_in(view, row)
        ]


@given(steps)
def test_a_view_has_the_rows_that_a_look_at_all_rows_finds(
    done: Sequence[tuple[str, object]],
) -> None:
    ring = Ring()
    for step in done:
        ring.step(*step)
    placed = [(seq, entry(row)) for seq, row in enumerate(ring.rows, start=ring.oldest)]
    touched = ring.index.touched(placed)
    assert set(ring.index) == set(ring.opened.values())
    for view, opened in ring.opened.items():
        assert opened.gone == ring.gone[view]
        found = ring.seqs(view, 0)
        assert [seq for seq, _ in touched.get(opened, [])] == found
        assert ring.index.last(opened) == max([opened.gone, *(seq + 1 for seq in found)])
        for since in range(ring.oldest, ring.oldest + len(ring.rows) + 1):
            assert list(ring.index.seqs(opened, since)) == ring.seqs(view, since)
            before = [seq + 1 for seq in found if seq < since]
            assert ring.index.since(opened, since) == max([opened.gone, *before])


def test_a_view_that_nobody_has_costs_nothing() -> None:
    index = ViewIndex(FILTERS)
    for _ in range(2):
        one = index.open(VIEWS[2], 0, ())
        assert index.open(VIEWS[2], 0, ()) is one
        index.append(entry((1, "ann")), 0)
        assert set(index._sets) == {(), ("room",)}
        index.close(one)
        index.close(one)
        assert set(index._sets) == {()}
        assert set(index) == {index.everything}


def test_what_is_no_filter_cannot_be_opened() -> None:
    index = ViewIndex(["room"])
    with pytest.raises(ValueError, match="owner is no filter of this feed"):
        index.open(VIEWS[4], 0, ())
    assert set(index) == {index.everything}


def test_an_id_begins_with_the_view_that_it_is_of() -> None:
    index = ViewIndex(FILTERS)
    view = VIEWS[2]
    opened = index.open(view, 0, ())
    assert opened.prefix("abcd") == f"abcd.{view.tag}"
    assert opened.prefix("abcd") is opened.prefix("abcd")
    assert opened.prefix("ef01") == f"ef01.{view.tag}"
    assert index.everything.prefix("abcd") == "abcd"
