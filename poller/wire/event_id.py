"""The `id` of an event: which rows a client has, of which history of the table, and in which view.

    EPOCH.TOKEN          all rows
    EPOCH.VIEW.TOKEN     only some rows or columns: see `delivery/view.py`

The token tells which rows of the *table* a client has nothing more to get of; the others were not
for it. So it is worth nothing in another view. A client sends the last id back as `Last-Event-ID`.
Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from poller.ids.cursor import Cursor
from poller.ids.cursor_token import parse_token
from poller.ids.named import Named
from poller.wire import sse

MAX_CHARS = 1024  # of the header; a longer one is not an id of ours

_ID = re.compile(r"([0-9a-z]{4,16})\.(?:([0-9a-z]{6})\.)?([0-9A-Za-z!,_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client resumes: a cursor of one epoch, or of any (`epoch` None).

    If its token had no room for all that it has, there is a `mark` of the whole: see `ids/marks`.
    `view` is the tag of the view in which the client has it, None for any.
    """

    epoch: str | None
    cursor: Cursor
    mark: int | None = None
    view: str | None = None


FROM_THE_BEGINNING = Resume(None, Cursor())


def prefix(epoch: str, view: str) -> str:
    """What stands before the token, in the view with this tag."""
    return f"{epoch}.{view}" if view else epoch


def format_event_id(prefix: str, held: Named) -> str:
    """The text of the `id` field."""
    return f"{prefix}.{held.token()}"


def frame(prefix: str, held: Named, lines: bytes) -> bytes:
    """The frame of an event under the id of `held`: what the client has after it."""
    return frame_under(prefix, held.token(), lines)


def frame_under(prefix: str, token: str, lines: bytes) -> bytes:
    """As `frame()`, for the token of what the client has."""
    return sse.under_id(f"{prefix}.{token}", lines)


def with_view(frame: bytes, id_at: int, view: bytes) -> tuple[bytes, bytes]:
    """The lines of a frame whose `id` line begins at `id_at`, and that line for another view."""
    at = frame.index(b".", id_at) + 1
    return frame[:id_at], b"%b%b.%b" % (frame[id_at:at], view, frame[at:])


def parse_last_event_id(text: str | None) -> Resume | None:
    """What a `Last-Event-ID` asks for: None for "from now", `0` for the whole table.

    Takes the header as WSGI shows it: our ids are ASCII, so its encoding does not matter. Raises
    ValueError for anything that is not an id of ours.
    """
    if not text:
        return None
    if text == "0":
        return FROM_THE_BEGINNING
    match = _ID.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        raise ValueError("not an id of this stream")
    said = parse_token(match[3])
    return Resume(match[1], Cursor.of(said), said.mark, match[2] or "")
