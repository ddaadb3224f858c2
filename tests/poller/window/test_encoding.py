"""Rows of a look as a picture: what is encoded, and when it is not."""

from decimal import Decimal
from typing import Any

import pytest

from poller.reading.windows.look import Look
from poller.window.encoding import Encoder, item_of
from poller.wire.row import KeyedRow
from tests.harness.windows import SimulatedShape


class CountingShape(SimulatedShape):
    def __init__(self) -> None:
        self.encoded: list[object] = []

    def row(self, raw: tuple[Any, ...]) -> KeyedRow:
        self.encoded.append(raw[0])
        return super().row(raw)


def test_only_rows_that_differ_are_encoded() -> None:
    shape, encoder = CountingShape(), Encoder("test", 4)
    first = encoder.picture(Look(shape, [(2, 2, "a"), (1, 1, "b")]))
    assert encoder.picture(Look(shape, [(2, 2, "a"), (1, 1, "b")])) is first
    second = encoder.picture(Look(shape, [(3, 3, "c"), (2, 2, "a"), (1, 1, "B")]))
    assert shape.encoded == [2, 1, 3, 1]
    assert second.items[1] is first.items[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, 1.0), (1, True), (0, False), (Decimal("1.0"), Decimal("1.00")), ("1", 1)],
)
def test_what_is_equal_but_reads_otherwise_is_a_change(before: object, after: object) -> None:
    shape, encoder = SimulatedShape(), Encoder("test", 4)
    first = encoder.picture(Look(shape, [(1, 1, before)]))
    second = encoder.picture(Look(shape, [(1, 1, after)]))
    assert first.items != second.items
    assert Encoder("test", 4).picture(Look(shape, [(1, 1, after)])).items == second.items


def test_rows_that_were_read_by_themselves_are_compared_by_what_is_sent() -> None:
    shape, encoder = SimulatedShape(), Encoder("test", 4)

    def look(large: str) -> Look:
        apart = KeyedRow(0, {"id": 1, "sort": 1, "x": large}, key={"id": 1})
        return Look(shape, [(2, 2, "a"), (1, 1, None)], {1: apart})

    first = encoder.picture(look("large"))
    assert encoder.picture(look("large")) is first
    assert encoder.picture(look("larger")) is not first
    assert encoder.picture(Look(shape, [(2, 2, "a"), (1, 1, None)])).items[0] is first.items[0]


def test_a_row_that_could_not_be_read_is_a_placeholder_with_its_key() -> None:
    item, problem = item_of(KeyedRow(0, None, "it is gone", key={"a": 1, "b": "x"}))
    assert item.identity == b'{"a":1,"b":"x"}'
    assert item.lines == b'event: unreadable\ndata: {"a":1,"b":"x","reason":"it is gone"}\n'
    assert problem is not None


def test_a_key_that_json_cannot_have_is_escaped() -> None:
    item, problem = item_of(KeyedRow(0, {"a": "\ud800"}, key={"a": "\ud800"}))
    assert item.identity == b'{"a":"\'\\\\ud800\'"}'
    assert problem is not None
    assert [*problem.withheld] == ["a"]
