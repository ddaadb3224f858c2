"""A row of the watched table, and its event.

Data is one line of JSON that every browser reads; docs/values.md has the form of each type. A value
that cannot go out is null, and the last member of the row, `_withheld`, says which and why: a
reader in any language can tell it from a NULL of the table, and one that does not look has a null.

Where rows may change, a plain event is the row as it is now, for the row that had its key before or
for a new one: nobody knows which. The event `delete` has the key of a row that is gone.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from poller.wire import sse
from poller.wire.exact import Exact
from poller.wire.json_text import JsonText, embeddable
from poller.wire.numbers import exact_float, exact_integer

UNREADABLE_EVENT = "unreadable"
DELETE_EVENT = "delete"
CLEAR_EVENT = "clear"  # all rows are gone
WITHHELD = "_withheld"  # column → why it is null
DELETED = "_deleted"  # in an answer of `/rows`: the other members are the key of a row that is gone
RESERVED = frozenset((WITHHELD, DELETED))  # names that no column may have

LINE_SEPARATORS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}

_encoder = msgspec.json.Encoder(enc_hook=str)
NOT_JSON = (ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its id, and either its columns or the reason why it could not be read.

    `withheld` names the columns that are None because they could not be read, with the reason.
    `values` are those by which streams may be filtered, in the feed's order: their columns need not
    be among those that go out. There are none if the row could not be read.
    """

    id: int
    columns: dict[str, Any] | None
    problem: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)
    values: tuple[Exact, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyedRow(Row):
    """A row of a table whose rows may change; `id` is its version, or where it stands in a window.

    `key` are the columns that tell it from the others, `deleted` says that it is gone. One without
    columns and without a problem was changed while it was read: another version of it will come.
    """

    key: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False

    @property
    def is_superseded(self) -> bool:
        return self.columns is None and not (self.deleted or self.problem)


class CutOff(list[Row]):
    """Rows of a batch that was cut off by its bytes, before its limit: more may follow them."""


def is_cut_off(rows: list[Row], limit: int) -> bool:
    """Whether more rows may follow those that a query of at most `limit` brought."""
    return len(rows) >= limit or isinstance(rows, CutOff)


@dataclass(frozen=True, slots=True)
class Problem:
    """What of a row does not go out: the whole row (`withheld` is empty), or these columns."""

    reason: str
    withheld: Mapping[str, str]


def body(row: Row) -> tuple[bytes, Problem | None]:
    """The lines of the row's event, and what was wrong with the row, None if nothing was.

    A row that could not be read becomes an event `unreadable` with its id and the reason, so that
    neither the rows around it nor its own id are lost.
    """
    if isinstance(row, KeyedRow):
        if row.deleted:
            return sse.fields(to_json(row.key), event=DELETE_EVENT), None
        if row.is_superseded:
            return b"", None
    if row.columns is None:
        placeholder = to_json({"id": row.id, "reason": row.problem})
        return sse.fields(placeholder, event=UNREADABLE_EVENT), Problem(row.problem, {})
    if not row.withheld:
        try:
            return sse.fields(to_json(row.columns)), None
        except NOT_JSON:
            pass
    return _part_of(row.columns, dict(row.withheld))


def _part_of(columns: dict[str, Any], withheld: dict[str, str]) -> tuple[bytes, Problem]:
    """The lines of a row with what can be written of it."""
    for name, value in columns.items():
        try:
            to_json(value)
        except NOT_JSON:
            withheld[name] = "it could not be written as JSON"
    sent = {name: None if name in withheld else value for name, value in columns.items()}
    return sse.fields(to_json({**sent, WITHHELD: withheld})), Problem("", withheld)


def to_json(value: Any) -> str:
    """`value` as JSON without a line break. Raises ValueError for a lone surrogate."""
    return _on_one_line(_encoder.encode(_exact(value)).decode())


def _on_one_line(text: str) -> str:
    """Escapes what is no line end in JSON or an event stream, but is one to `str.splitlines()`.

    Some clients split lines with that. The control characters among them JSON escapes anyway.
    """
    for separator, escaped in LINE_SEPARATORS.items():
        text = text.replace(separator, escaped)
    return text


# -- values that JSON, or its readers, would change --------------------------------------------

AS_IT_IS = frozenset((str, type(None), bool, bytes, datetime, date, time, timedelta, Decimal, UUID))


def _exact(value: Any) -> Any:
    kind = type(value)
    if kind in AS_IT_IS:
        return value
    convert = _CONVERSIONS.get(kind)
    if convert is None:
        convert = _CONVERSIONS[kind] = _conversion(kind)
    return convert(value)


def _members(value: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: item if type(item) in AS_IT_IS else _exact(item) for key, item in value.items()}


def _items(value: Any) -> list[Any]:
    return [_exact(item) for item in value]


def _json(value: str) -> Any:
    embedded = embeddable(value)
    return str(value) if embedded is None else msgspec.Raw(embedded.encode())


def _fields(value: Any) -> dict[str, Any]:
    return {one.name: _exact(getattr(value, one.name)) for one in dataclasses.fields(value)}


def _conversion(kind: type) -> Callable[[Any], Any]:
    """For the types that an application's own columns bring."""
    for base, convert in _BASES:
        if issubclass(kind, base):
            return convert
    return _fields if dataclasses.is_dataclass(kind) else _unchanged


def _unchanged(value: Any) -> Any:
    return value


_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: _exact(value.value)),
    (JsonText, _json),
    (int, exact_integer),
    (float, exact_float),
    (Mapping, _members),
    (list, _items),
    (tuple, _items),
    (set, lambda value: _items(sorted(value, key=str))),
    (frozenset, lambda value: _items(sorted(value, key=str))),
)
_CONVERSIONS: dict[type, Callable[[Any], Any]] = {
    int: exact_integer,
    float: exact_float,
    dict: _members,
    list: _items,
    JsonText: _json,
}
