"""Rows as JSON that every browser reads."""

import base64
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from sqlalchemy.dialects.postgresql import Range

from poller.wire.json_text import JsonText
from poller.wire.row import Row, body, to_json


class Colour(Enum):
    RED = 2**60


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, str(2**53)),
        (-(2**53), str(-(2**53))),
        (2**63 - 1, str(2**63 - 1)),
        ({"deep": [2**60]}, {"deep": [str(2**60)]}),
        (True, True),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (Decimal("NaN"), "NaN"),
        (Decimal("-Infinity"), "-Infinity"),
        ([1.5, math.nan, {"n": (2**53,)}], [1.5, "NaN", {"n": [str(2**53)]}]),
        ({"b", "a"}, ["a", "b"]),
        (Colour.RED, str(2**60)),
        (
            Range(1, 2**60, bounds="[)"),
            {"lower": 1, "upper": str(2**60), "bounds": "[)", "empty": False},
        ),
        (JsonText('{"a": 9007199254740993}'), {"a": "9007199254740993"}),
        (Decimal("1.10"), "1.10"),
        (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        (datetime(2026, 11, 22, 14, 56, tzinfo=UTC), "2026-11-22T14:56:00Z"),
        (date(2026, 11, 22), "2026-11-22"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (3 + 4j, "(3+4j)"),
        (None, None),
    ],
)
def test_a_value_is_read_back_by_any_json_reader(value: object, read: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(to_json(value), parse_constant=refuse) == read


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\u2028", "\x00", "data: x\n\nid: 9", "🎉"])
def test_hostile_text_stays_on_one_line(text: str) -> None:
    sent, problem = body(Row(1, {"text": text}))
    assert not problem
    assert sent.count(b"\n") == 1
    assert json.loads(sent.removeprefix(b"data: ")) == {"text": text}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_reader_that_splits_lines_as_python_does_gets_the_row_whole(separator: str) -> None:
    """PyPI `sseclient` does, and so does whoever takes str.splitlines() or decoded lines."""
    sent, _ = body(Row(1, {"text": f"a{separator}b", "ü": f"{separator}漢"}))
    (line,) = sent.decode().strip("\n").splitlines()
    read = json.loads(line.removeprefix("data: "))
    assert read == {"text": f"a{separator}b", "ü": f"{separator}漢"}


def test_what_json_cannot_hold_is_withheld_and_the_rest_of_the_row_goes_out() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    sent, problem = body(Row(7, {"id": 7, "half": "\ud800", "deep": deep, "good": "a"}))
    reason = "it could not be written as JSON"
    withheld = {"half": reason, "deep": reason}
    assert problem is not None
    assert problem.withheld == withheld
    row = json.loads(sent.removeprefix(b"data: "))
    assert row == {"id": 7, "half": None, "deep": None, "good": "a", "_withheld": withheld}


def test_what_the_database_withheld_is_named_beside_what_json_cannot_hold() -> None:
    sent, problem = body(Row(7, {"a": None, "b": "\ud800"}, withheld={"a": "too large"}))
    assert problem is not None
    assert list(problem.withheld) == ["a", "b"]
    assert json.loads(sent.removeprefix(b"data: "))["_withheld"] == problem.withheld


def test_a_row_that_was_not_read_is_an_event_with_its_id_and_the_reason() -> None:
    sent, problem = body(Row(2**60, None, "it was deleted"))
    assert problem is not None
    assert problem.reason == "it was deleted"
    placeholder = b'{"id":"1152921504606846976","reason":"it was deleted"}'
    assert sent.startswith(b"event: unreadable\ndata: " + placeholder)
