"""Rows as lines of text."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from poller.commands.printers import LINES_PER_HEADING, Aligned, Csv, JsonLines, Printer

ODD = {
    "id": 7,
    "text": 'a "quoted", one\r\nand \x1b[31mred\x9b\u202e',
    "none": None,
    "empty": "",
    "yes": True,
    "nested": {"a": [1, "é"]},
    "number": 1.5,
}


def printed(printer: Printer, *rows: dict[str, Any]) -> list[str]:
    return [*printer.batch([json.dumps(row) for row in rows])]


def aligned(columns: int | None = None, *, coloured: bool = False) -> Aligned:
    return Aligned(columns, coloured=coloured)


def test_json_is_an_object_a_line_that_no_terminal_obeys() -> None:
    (line,) = printed(JsonLines(), ODD)
    assert json.loads(line) == ODD
    assert line.endswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", line)


def test_json_keeps_the_text_as_it_came() -> None:
    row = '{"id": 1, "total": 1.10, "big": "12345678901234567890"}'
    assert [*JsonLines().batch([row])] == [f"{row}\n"]


def test_csv_is_read_back_by_anybody() -> None:
    text = "".join(printed(Csv(), ODD, {**ODD, "id": 8}))
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["id"], second["id"]) == ("7", "8")
    assert first["text"] == ODD["text"]
    assert (first["none"], first["yes"], first["nested"]) == ("", "true", '{"a":[1,"é"]}')


def test_csv_tells_null_from_an_empty_text() -> None:
    heading_and_row = "".join(printed(Csv(), {"id": 1, "a": None, "b": ""}))
    assert heading_and_row == 'id,a,b\n1,,""\n'


@pytest.mark.parametrize("make", [Csv, aligned])
def test_each_row_is_one_text_and_the_first_has_the_heading(make: Any) -> None:
    printer = make()
    first, second = printed(printer, {"id": 1}, {"id": 2})
    assert [first.split(), second.split()] == [["id", "1"], ["2"]]
    assert printed(printer, {"id": 3})[0].split() == ["3"]
    assert printed(printer) == []


def test_columns_are_aligned() -> None:
    lines = printed(aligned(), {"id": 9, "name": "Ada"}, {"id": 10, "name": None})
    assert "".join(lines) == "id  name\n 9  Ada\n10  NULL\n"


def test_a_row_is_one_line_on_a_terminal_and_fits() -> None:
    (text,) = printed(aligned(40), {"id": 1, "a": "x" * 90, "b": "line\nline"})
    heading, row = text.splitlines()
    assert max(len(heading), len(row)) <= 40
    assert "…" in row
    assert r"line\nline" in row


def test_nothing_is_folded_in_a_pipe() -> None:
    assert "x" * 900 in printed(aligned(), {"id": 1, "a": "x" * 900})[0]


def test_the_heading_comes_again_when_columns_have_grown() -> None:
    printer = aligned()
    rows = [{"id": 1, "a": "x"}, *({"id": n, "a": "longer"} for n in range(LINES_PER_HEADING + 1))]
    text = "".join(line for row in rows for line in printed(printer, row))
    assert text.count("id") == 2


def test_null_is_dim_and_an_unreadable_row_is_red() -> None:
    printer = aligned(80, coloured=True)
    (text,) = printed(printer, {"id": 1, "a": None})
    assert "\x1b[2mNULL" in text
    unreadable = printer.unreadable('{"id":2,"reason":"not \\u001b UTF-8"}')
    (line,) = printer.batch([unreadable])
    assert line == "\x1b[31m2  unreadable: not \\x1b UTF-8\x1b[0m\n"


@pytest.mark.parametrize("printer", [JsonLines(), Csv(), aligned()])
def test_an_unreadable_row_is_a_row(printer: Printer) -> None:
    (line,) = printer.batch([printer.unreadable('{"id":2,"reason":"not UTF-8"}')])
    assert line.endswith("\n")


def changed(printer: Printer, *changes: tuple[str, dict[str, Any]]) -> list[str]:
    printer.shows_changes(["id", "name"])
    return [*printer.batch([printer.change(op, json.dumps(data)) for op, data in changes])]


CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("delete", {"id": 7}),
    ("upsert", {"id": 10, "name": None}),
    ("clear", {}),
)


def test_changes_are_marked_before_their_rows() -> None:
    text = "".join(changed(aligned(), *CHANGES))
    assert text == (
        "  id  name\n-  7\n~ 10  NULL\n= all rows above are void; these are there now:\n"
    )


def test_a_change_fits_the_terminal_with_its_mark() -> None:
    (text,) = changed(aligned(30, coloured=True), ("delete", {"id": 1, "name": "x" * 90}))
    heading, row = re.sub("\x1b\\[[0-9]*m", "", text).splitlines()
    assert max(len(heading), len(row)) <= 30
    assert "\x1b[31m-  1" in text


def test_json_says_which_change_it_is() -> None:
    assert [json.loads(line) for line in changed(JsonLines(), *CHANGES)] == [
        {"op": "delete", "key": {"id": 7}},
        {"op": "upsert", "row": {"id": 10, "name": None}},
        {"op": "clear"},
    ]


def test_csv_has_a_column_for_the_change() -> None:
    text = "".join(changed(Csv(), *CHANGES))
    assert text == "op,id,name\ndelete,7,\nupsert,10,\nclear,,\n"


@pytest.mark.parametrize("printer", [JsonLines(), Csv(), aligned()])
def test_an_unreadable_row_has_its_place_among_changes(printer: Printer) -> None:
    printer.shows_changes(["id"])
    unreadable = printer.unreadable('{"id":2,"reason":"not UTF-8"}')
    _, second = printer.batch([printer.change("upsert", '{"id": 1}'), unreadable])
    assert "2" in second
    assert second.endswith("\n")
