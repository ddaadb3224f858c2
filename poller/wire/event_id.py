"""The `id` of an event, `EPOCH.TOKEN`: which rows a client has, of which history of the table.

A client sends the last one back as `Last-Event-ID`. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from poller.ids.cursor import Cursor
from poller.ids.cursor_token import parse_token
from poller.ids.named import Named
from poller.wire import sse

MAX_CHARS = 1024  # of the header; a longer one is not an id of ours

_EPOCH_AND_TOKEN = re.compile(r"([0-9a-z]{4,16})\.([0-9A-Za-z!,_-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client resumes: a cursor of one epoch, or of any (`epoch` None).

    If its token had no room for all that it has, there is a `mark` of the whole: see `ids/marks`.
    """

    epoch: str | None
    cursor: Cursor
    mark: int | None = None


FROM_THE_BEGINNING = Resume(None, Cursor())


def format_event_id(epoch: str, held: Named) -> str:
    """The text of the `id` field."""
    return f"{epoch}.{held.token()}"


def frame(epoch: str, held: Named, lines: bytes) -> bytes:
    """The frame of an event under the id of `held`: what the client has after it."""
    return frame_under(epoch, held.token(), lines)


def frame_under(epoch: str, token: str, lines: bytes) -> bytes:
    """As `frame()`, for the token of what the client has."""
    return sse.under_id(f"{epoch}.{token}", lines)


def parse_last_event_id(text: str | None) -> Resume | None:
    """What a `Last-Event-ID` asks for: None for "from now", `0` for the whole table.

    Takes the header as WSGI shows it: our ids are ASCII, so its encoding does not matter. Raises
    ValueError for anything that is not an id of ours.
    """
    if not text:
        return None
    if text == "0":
        return FROM_THE_BEGINNING
    match = _EPOCH_AND_TOKEN.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        raise ValueError("not an id of this stream")
    said = parse_token(match[2])
    return Resume(match[1], Cursor.of(said), said.mark)
