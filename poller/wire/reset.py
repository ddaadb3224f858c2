"""The `reset` event: what a client knows no longer holds, so it has to load the rows again."""

from __future__ import annotations

from poller.wire import row, sse

HISTORY_CHANGED = "history-changed"  # the table was dropped, truncated, restored or failed over
IDS_RESTARTED = "ids-restarted"
MALFORMED_ID = "malformed-id"  # the rest is about what the client sent
UNKNOWN_HISTORY = "unknown-history"
AHEAD_OF_TABLE = "ahead-of-table"
NOT_PROVEN = "not-proven"  # too many ids of which nobody can say yet whether they will appear


def frame(reason: str) -> bytes:
    """The event, without an id."""
    return sse.frame(row.to_json({"reason": reason}), event="reset")
