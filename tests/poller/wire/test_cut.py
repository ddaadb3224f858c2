"""Rows with fewer columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.wire import row
from poller.wire.cut import cut
from poller.wire.row import KeyedRow, Row

names = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: name != row.WITHHELD)
plain = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))
values = plain | st.lists(plain, max_size=3) | st.dictionaries(names, plain, max_size=3)


def data(lines: bytes) -> bytes:
    assert lines.count(b"\n") == 1
    return lines.removeprefix(b"data: ")


@given(st.dictionaries(names, values, max_size=6), st.sets(names), st.data())
def test_what_is_left_looks_as_it_does_for_everybody(
    columns: dict[str, object], others: set[str], more: st.DataObject
) -> None:
    shown = others | {name for name in columns if more.draw(st.booleans())}
    expected, _ = row.body(Row(1, {name: columns[name] for name in columns if name in shown}))
    lines, _ = row.body(Row(1, columns))
    assert cut(lines, shown) == expected


def test_a_hidden_column_is_not_said_to_be_withheld() -> None:
    columns = {"id": 1, "name": None, "secret": None}
    lines, _ = row.body(Row(1, columns, withheld={"name": "too large", "secret": "unreadable"}))
    assert json.loads(data(cut(lines, {"id", "name"}))) == {
        "id": 1,
        "name": None,
        "_withheld": {"name": "too large"},
    }
    assert data(cut(lines, {"id"})) == b'{"id":1}\n'


@pytest.mark.parametrize(
    "event",
    [
        Row(7, None, "the row was deleted while it was read"),
        KeyedRow(7, {}, key={"id": 7}, deleted=True),
    ],
)
def test_events_of_their_own_tell_the_key_alone(event: Row) -> None:
    lines, _ = row.body(event)
    assert lines.startswith(b"event: ")
    assert cut(lines, {"name"}) == lines
