"""What a stream says beside its rows: events of our own, and a comment.

`start` is the first event of every answer that streams, `live` tells once that the client has
everything. `reset` tells that what the client knows no longer holds, so it has to load the rows
again; its `reason` is one of those below. `position` brings no row, only an id: while rows came
that are not in the client's view, it is told in place of a heartbeat from where to go on.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from poller.wire import row, sse

START_EVENT = "start"
LIVE_EVENT = "live"
RESET_EVENT = "reset"
POSITION_EVENT = "position"

HISTORY_CHANGED = "history-changed"  # the table was dropped, truncated, restored or failed over
IDS_RESTARTED = "ids-restarted"
MALFORMED_ID = "malformed-id"  # the rest is about what the client sent
UNKNOWN_HISTORY = "unknown-history"
AHEAD_OF_TABLE = "ahead-of-table"
UNKNOWN_ROWS = "unknown-rows"  # of a window: nobody knows the rows that the client holds
VIEW_CHANGED = "view-changed"  # another filter, or other columns: what it has is of that one
BEYOND_REPLAY = "beyond-replay"  # the client lacks rows that are older than what may be read again
NOT_PROVEN = "not-proven"  # too many ids of which nobody can say yet whether they will appear

LIVE = sse.fields("{}", event=LIVE_EVENT)
POSITION = sse.fields("{}", event=POSITION_EVENT)


@lru_cache
def start(feed: str, *, resumed: bool, key: tuple[str, ...] = ()) -> bytes:
    """The lines of `start`, few for a feed. `resumed`: the client goes on where its last id says.
    `key`: what tells one row from another, where rows may change."""
    said = {"feed": feed, "resumed": resumed}
    return sse.fields(row.to_json({**said, "key": [*key]} if key else said), event=START_EVENT)


def reset(reason: str) -> bytes:
    """The lines of `reset`."""
    return sse.fields(row.to_json({"reason": reason}), event=RESET_EVENT)


def reason_of(data: bytes) -> str:
    """The reason in the data of a `reset`."""
    return str(msgspec.json.decode(data)["reason"])


def waiting(reason: str) -> bytes:
    """A comment: why there is nothing yet."""
    return sse.comment(f"waiting: {reason}")
