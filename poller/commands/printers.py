"""Printers: rows of a stream as lines of text, for people or for pipes. Pure.

Each takes a batch: rows, each a line of JSON. A row that could not be read comes as `unreadable`,
with its id and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import click

from poller.commands.layout import CONTROLS, GAP, fitted, padded, safe, width

Row = Mapping[str, Any]
WITHHELD = "_withheld"  # wire/row.py: the member that says why others are null
UNREADABLE = "_unreadable"
LINES_PER_HEADING = 20  # then it is repeated, if columns have become wider


class Printer(Protocol):
    """`batch()` gives one text for each row, with its line feed, and with a heading before it where
    one is due. `unreadable()` makes a row of one that could not be read."""

    def batch(self, rows: Sequence[str]) -> Iterator[str]: ...
    def unreadable(self, data: str) -> str: ...


class JsonLines:
    """An object a line."""

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        for row in rows:
            yield f"{CONTROLS.sub(_escape, row)}\n"

    def unreadable(self, data: str) -> str:
        told = json.loads(data)
        return json.dumps({"id": told["id"], UNREADABLE: told["reason"]})


class Csv:
    """A heading, and a record a row, as PostgreSQL's COPY writes them: NULL is nothing, an empty
    text is `""`. A line feed in a text is one in the record."""

    def __init__(self) -> None:
        self._names: Sequence[str] = ()

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        for row in map(json.loads, rows):
            heading = ""
            if not self._names:
                self._names = _names([row])
                heading = _record(self._names)
            yield heading + _record(row.get(name) for name in self._names)

    def unreadable(self, data: str) -> str:
        return json.dumps({"id": json.loads(data)["id"]})


class Aligned:
    """Columns that grow with what is in them, folded to the terminal's `columns` if it is one."""

    def __init__(self, columns: int | None, *, coloured: bool) -> None:
        self._columns = columns
        self._style = click.style if coloured else _plain_style
        self._names: Sequence[str] = ()
        self._widths: Sequence[int] = ()
        self._shown: Sequence[int] = ()  # the widths under the last heading
        self._lines = 0  # below it

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        read: list[Row] = [json.loads(row) for row in rows]
        self._names = self._names or _names(read)
        texts = [[_shown(row.get(name)) for name in self._names] for row in read]
        widths = self._widths or [width(safe(name)) for name in self._names]
        self._widths = [
            max([wide, *(width(text[at]) for text in texts)]) for at, wide in enumerate(widths)
        ]
        fit = fitted(self._widths, self._columns) if self._columns else self._widths
        for row, text in zip(read, texts, strict=True):
            heading = self._heading(fit)
            yield f"{heading}{self._line(row, text, fit)}\n"

    def unreadable(self, data: str) -> str:
        return JsonLines().unreadable(data)

    def _heading(self, fit: Sequence[int]) -> str:
        if self._shown and (self._shown == fit or self._lines < LINES_PER_HEADING):
            self._lines += 1
            return ""
        self._shown, self._lines = fit, 1
        names = [padded(safe(name), wide) for name, wide in zip(self._names, fit, strict=True)]
        return self._style(GAP.join(names).rstrip(), bold=True) + "\n"

    def _line(self, row: Row, texts: Sequence[str], fit: Sequence[int]) -> str:
        if UNREADABLE in row:
            return self._style(f"{row['id']}  unreadable: {safe(row[UNREADABLE])}", fg="red")
        cells = []
        for name, text, wide in zip(self._names, texts, fit, strict=True):
            value = row.get(name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            cell = padded(text, wide, right=number)
            withheld = name in row.get(WITHHELD, ())
            cells.append(self._style(cell, dim=True) if value is None or withheld else cell)
        return GAP.join(cells).rstrip()


def _names(rows: Iterable[Row]) -> list[str]:
    """The columns of the first row that could be read."""
    first: Row = next((row for row in rows if UNREADABLE not in row), {})
    return [name for name in first if name != WITHHELD]


def _shown(value: object) -> str:
    return "NULL" if value is None else safe(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _record(values: Iterable[object]) -> str:
    return ",".join("" if value is None else _quoted(_plain(value)) for value in values) + "\n"


def _quoted(text: str) -> str:
    if text and not any(char in text for char in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def _escape(found: Any) -> str:
    """What a terminal would obey, as JSON writes it."""
    return f"\\u{ord(found[0]):04x}"


def _plain_style(text: str, **_style: object) -> str:
    return text
