"""Server-Sent Events as bytes: frames, comments, `retry`.

Pure: text in, bytes out. The words are those of the WHATWG HTML standard, section 9.2
(https://html.spec.whatwg.org/multipage/server-sent-events.html). Clients differ from it, so:

- A frame's `id` is its last line. Some clients take an id when its line arrives: one that is cut
  off before the data ends must not have it yet.
- Every frame with an id has data. Firefox and most libraries keep no id without.
- No blank line but at the end of a frame. Some clients dispatch an empty message at each.
"""

from __future__ import annotations

import re

CONTENT_TYPE = "text/event-stream"
HEARTBEAT = b":\n"

# A line ends at CRLF, LF or CR and nowhere else. str.splitlines() also splits at VT, FF, FS to US,
# U+0085, U+2028 and U+2029, and drops a last empty line.
_LINE_END = re.compile(r"\r\n|\n|\r")
_NOT_IN_A_FIELD = re.compile(r"[\r\n\0]")


def fields(data: str, *, event: str | None = None) -> bytes:
    """The lines of one event, to be finished by `under_id()`: `event`, then `data` line by line.

    Raises ValueError for CR, LF or NUL in `event`.
    """
    lines = [f"data: {line}\n" for line in _LINE_END.split(data)]
    return f"{_field('event', event)}{''.join(lines)}".encode()


def under_id(event_id: str, lines: bytes) -> bytes:
    """The whole frame of an event, its `id` last. Raises ValueError for CR, LF or NUL in it."""
    return lines + _field("id", event_id).encode() + b"\n"


def without_id(lines: bytes) -> bytes:
    """The whole frame of an event that leaves the client's last id as it is."""
    return lines + b"\n"


def retry_line(retry_ms: int) -> bytes:
    """Tells the client to wait so many milliseconds before it connects again."""
    if retry_ms < 0:
        raise ValueError(f"retry_ms is {retry_ms}; it must not be negative")
    return b"retry: %d\n" % retry_ms


def comment(text: str) -> bytes:
    """A line that no client dispatches, for whoever reads the stream by eye."""
    return f": {_LINE_END.sub(' ', text)}\n".encode()


def _field(name: str, value: str | None) -> str:
    if value is None:
        return ""
    if _NOT_IN_A_FIELD.search(value):
        raise ValueError(f"{name} must not contain CR, LF or NUL: {value!r}")
    return f"{name}: {value}\n"
