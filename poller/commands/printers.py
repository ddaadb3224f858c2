"""Printers: rows of a stream as lines of text, for people or for pipes. Pure.

Each takes a batch: rows, each a line of JSON. A row that could not be read comes as `unreadable`,
with its id and the reason. Of a feed whose rows may change, each says which change it is:

| | text | json | csv |
|---|---|---|---|
| the row as it is now | `~` before it | `{"op":"upsert","row":{…}}` | `upsert` in the column `op` |
| a row that is gone, by its key | `-` | `{"op":"delete","key":{…}}` | `delete` |
| all rows are gone (by window) | `=` | `{"op":"clear"}` | `clear` |
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


UPSERT, DELETE, CLEAR = "upsert", "delete", "clear"
SIGNS = {UPSERT: "~", DELETE: "-", CLEAR: "="}
COLOURS = {DELETE: "red", CLEAR: "yellow"}


class Changed(str):
    """The JSON of a change: of a row, or of the key of one that is gone."""

    __slots__ = ("op",)
    op: str


class Printer(Protocol):
    """`batch()` gives one text for each row, with its line feed, and with a heading before it where
    one is due. `unreadable()` makes a row of one that could not be read, `change()` one of a
    change.

    Where rows may change, `shows_changes()` is called first, with the columns: the first row may be
    the key of one that is gone.
    """

    def shows_changes(self, columns: Sequence[str]) -> None: ...
    def batch(self, rows: Sequence[str]) -> Iterator[str]: ...
    def unreadable(self, data: str) -> str: ...
    def change(self, op: str, data: str) -> str: ...


class JsonLines:
    """An object a line."""

    def shows_changes(self, columns: Sequence[str]) -> None:
        """Each line says it by itself."""

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        for row in rows:
            yield f"{CONTROLS.sub(_escape, row)}\n"

    def unreadable(self, data: str) -> str:
        told = json.loads(data)
        return json.dumps({"id": told["id"], UNREADABLE: told["reason"]})

    def change(self, op: str, data: str) -> str:
        member = {UPSERT: f',"row":{data}', DELETE: f',"key":{data}'}.get(op, "")
        return f'{{"op":"{op}"{member}}}'


class Csv:
    """A heading, and a record a row, as PostgreSQL's COPY writes them: NULL is nothing, an empty
    text is `""`. A line feed in a text is one in the record."""

    def __init__(self) -> None:
        self._names: Sequence[str] = ()
        self._op: Sequence[str] = ()  # the column of that name, if there is one
        self._begun = False

    def shows_changes(self, columns: Sequence[str]) -> None:
        self._names, self._op = columns, ("op",)

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        for text, row in zip(rows, map(json.loads, rows), strict=True):
            heading = ""
            if not self._begun:
                self._begun, self._names = True, self._names or _names([row])
                heading = _record([*self._op, *self._names])
            op = [_op(text)] if self._op else ()
            yield heading + _record([*op, *(row.get(name) for name in self._names)])

    def unreadable(self, data: str) -> str:
        return json.dumps({"id": json.loads(data)["id"]})

    def change(self, op: str, data: str) -> str:
        return _changed(op, data)


class Aligned:
    """Columns that grow with what is in them, folded to the terminal's `columns` if it is one."""

    def __init__(self, columns: int | None, *, coloured: bool) -> None:
        self._columns = columns
        self._style = click.style if coloured else _plain_style
        self._names: Sequence[str] = ()
        self._widths: Sequence[int] = ()
        self._shown: Sequence[int] = ()  # the widths under the last heading
        self._lines = 0  # below it
        self._signed = False

    def shows_changes(self, columns: Sequence[str]) -> None:
        self._names, self._signed = columns, True

    def batch(self, rows: Sequence[str]) -> Iterator[str]:
        read: list[Row] = [json.loads(row) for row in rows]
        self._names = self._names or _names(read)
        ops = [_op(text) for text in rows]
        texts = [[self._text(row, name) for name in self._names] for row in read]
        widths = self._widths or [width(safe(name)) for name in self._names]
        self._widths = [
            max([wide, *(width(text[at]) for text in texts)]) for at, wide in enumerate(widths)
        ]
        room = self._columns and self._columns - 2 * self._signed
        fit = fitted(self._widths, room) if room else self._widths
        for row, op, text in zip(read, ops, texts, strict=True):
            heading = self._heading(fit)
            line = self._line(row, text, fit)
            yield f"{heading}{self._with_sign(op, line) if self._signed else line}\n"

    def unreadable(self, data: str) -> str:
        return JsonLines().unreadable(data)

    def change(self, op: str, data: str) -> str:
        return _changed(op, data)

    def _text(self, row: Row, name: str) -> str:
        """The key of a row that is gone has no more."""
        return "" if self._signed and name not in row else _shown(row.get(name))

    def _with_sign(self, op: str, line: str) -> str:
        if op == CLEAR:
            line = "all rows above are void; these are there now:"
        signed = f"{SIGNS.get(op, ' ')} {line}"
        return self._style(signed, fg=COLOURS[op]) if op in COLOURS else signed

    def _heading(self, fit: Sequence[int]) -> str:
        if self._shown and (self._shown == fit or self._lines < LINES_PER_HEADING):
            self._lines += 1
            return ""
        self._shown, self._lines = fit, 1
        names = [padded(safe(name), wide) for name, wide in zip(self._names, fit, strict=True)]
        indent = "  " if self._signed else ""
        return self._style(indent + GAP.join(names).rstrip(), bold=True) + "\n"

    def _line(self, row: Row, texts: Sequence[str], fit: Sequence[int]) -> str:
        if UNREADABLE in row:
            return self._style(f"{row['id']}  unreadable: {safe(row[UNREADABLE])}", fg="red")
        cells = []
        for name, text, wide in zip(self._names, texts, fit, strict=True):
            value = row.get(name)
            told = value is not None or (self._signed and name not in row)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            cell = padded(text, wide, right=number)
            withheld = name in row.get(WITHHELD, ())
            cells.append(cell if told and not withheld else self._style(cell, dim=True))
        return GAP.join(cells).rstrip()


def _changed(op: str, data: str) -> Changed:
    changed = Changed(data)
    changed.op = op
    return changed


def _op(text: str) -> str:
    """Which change it is; empty of a row that is none."""
    return text.op if isinstance(text, Changed) else ""


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
