"""Frames of ours, read back: what a format other than Server-Sent Events is made from.

A row is encoded once, as the lines of its frame; its JSON is the one line of data in them. Pure. It
reads what `sse.py` writes and nothing else: whole frames, LF, one line of data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

ROW = "row"
RETRY = "retry"
COMMENT = "comment"


class Event(NamedTuple):
    """One event, comment or `retry`. `kind` is ROW, RETRY, COMMENT, or the name of the event;
    `data` is its JSON, `id` what the client holds after it, empty if the frame does not say."""

    kind: str
    data: bytes
    id: str


def events(frames: bytes) -> Iterator[Event]:
    """What `frames` say, in order."""
    kind, data, event_id = ROW, b"", ""
    for line in frames.split(b"\n"):
        if not line and data:
            yield Event(kind, data, event_id)
            kind, data, event_id = ROW, b"", ""
        field, _, value = line.partition(b": ")
        match field:
            case b"data":
                data = value
            case b"event":
                kind = value.decode()
            case b"id":
                event_id = value.decode()
            case b"retry":
                yield Event(RETRY, value, "")
            case _ if line:
                yield Event(COMMENT, value, "")
