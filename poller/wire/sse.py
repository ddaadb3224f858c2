"""Server-Sent Events as bytes: frames, comments, `retry`.

Pure: text in, bytes out. The words are those of the WHATWG HTML standard, section 9.2
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import re

CONTENT_TYPE = "text/event-stream"
# A bare comment line. No blank line after it: one makes some clients dispatch an empty message.
HEARTBEAT = b":\n"

# A line ends at CRLF, LF or CR and nowhere else. str.splitlines() also splits at VT, FF, FS to US,
# U+0085, U+2028 and U+2029, and drops a last empty line.
_LINE_END = re.compile(r"\r\n|\n|\r")
_NOT_IN_A_FIELD = re.compile(r"[\r\n\0]")


def frame(data: str, *, event_id: str | None = None, event: str | None = None) -> bytes:
    """One event: its `id` first, then `event`, then a `data` line for each line of the text.

    Raises ValueError for CR, LF or NUL in `event_id` or `event`.
    """
    lines = [f"data: {line}\n" for line in _LINE_END.split(data)]
    return f"{_field('id', event_id)}{_field('event', event)}{''.join(lines)}\n".encode()


def id_line(event_id: str) -> bytes:
    """The first line of a frame, to be followed by a frame made without an id."""
    return _field("id", event_id).encode()


def id_frame(event_id: str) -> bytes:
    """A frame with nothing but an id. It dispatches no event, yet the client takes the id."""
    return id_line(event_id) + b"\n"


def retry_frame(retry_ms: int) -> bytes:
    """Tells the client to wait so many milliseconds before it connects again."""
    if retry_ms < 0:
        raise ValueError(f"retry_ms is {retry_ms}; it must not be negative")
    return b"retry: %d\n\n" % retry_ms


def _field(name: str, value: str | None) -> str:
    if value is None:
        return ""
    if _NOT_IN_A_FIELD.search(value):
        raise ValueError(f"{name} must not contain CR, LF or NUL: {value!r}")
    return f"{name}: {value}\n"
