"""The stream as JSON lines: one object a line, for readers that do not know Server-Sent Events.

    {"start":{"feed":"orders","resumed":true},"next":"3f2a09c41e37a1b2.120"}
    {"row":{"id":121,"customer":"Ada"},"next":"3f2a09c41e37a1b2.121"}
    {"live":true,"next":"3f2a09c41e37a1b2.121"}

Where rows may change, `row` is one as it is now, and `{"delete":{"id":7},"next":…}` is the key of a
row that is gone. The first member says what it is, `next` where to go on. A heartbeat is an empty
line. Pure.
"""

from __future__ import annotations

from functools import lru_cache

from poller.wire import notices, row
from poller.wire.frames import COMMENT, RETRY, Event, events

CONTENT_TYPE = "application/x-ndjson"


@lru_cache(maxsize=1)  # live streams are written the same batch, one after the other
def from_frames(chunk: bytes) -> bytes:
    """The lines for whole frames."""
    return b"".join(map(_line, events(chunk)))


def _line(event: Event) -> bytes:
    if event.kind == COMMENT:
        return b"\n"
    if event.kind == RETRY:
        return b'{"retry":%b}\n' % event.data
    following = b',"next":"%b"' % event.id.encode() if event.id else b""
    return b'{"%b":%b%b}\n' % (event.kind.encode(), _value(event), following)


def _value(event: Event) -> bytes:
    """As in an answer of `/rows`: `live` is true, `reset` is the reason."""
    if event.kind == notices.LIVE_EVENT:
        return b"true"
    if event.kind == notices.RESET_EVENT:
        return row.to_json(notices.reason_of(event.data)).encode()
    return event.data
