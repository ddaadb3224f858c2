"""A row of the watched table, and its event.

Data is one line of JSON that every browser reads. Dates are ISO 8601, bytes base64, decimals
strings. NaN and the infinities, which JSON lacks, are null. Integers beyond 2^53 - 1, where a
JavaScript number begins to round, are strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from poller.wire import sse

MAX_EXACT_INTEGER = 2**53 - 1  # Number.MAX_SAFE_INTEGER
UNREADABLE_EVENT = "unreadable"

LINE_SEPARATORS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}

_encoder = msgspec.json.Encoder(enc_hook=str)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its id, and either its columns or the reason why it could not be read."""

    id: int
    columns: dict[str, Any] | None
    problem: str = ""


def body(row: Row) -> tuple[bytes, str]:
    """The lines of the row's event, and why the row could not be read; empty if it could.

    A row that could not be read becomes an event `unreadable` with its id and the reason, so that
    neither the rows around it nor its own id are lost.
    """
    problem = row.problem
    if row.columns is not None:
        try:
            return sse.fields(to_json(row.columns)), ""
        except (ValueError, TypeError, OverflowError, RecursionError):
            problem = "this row could not be written as JSON"
    placeholder = to_json({"id": row.id, "reason": problem})
    return sse.fields(placeholder, event=UNREADABLE_EVENT), problem


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


def _exact(value: Any) -> Any:
    if isinstance(value, int):
        return value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value)
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value
