"""Where a client wants to go on, as far as this worker can tell from its `Last-Event-ID`."""

from __future__ import annotations

from typing import NamedTuple

from poller.delivery.event_log import EventLog
from poller.ids.cursor import Cursor
from poller.wire import event_id, notices


class Asked(NamedTuple):
    """The client's cursor, None for "from now"; or a `reason` for a reset.

    `unsure`: the client knows more than this worker, a greater id or another name of the history.
    Another worker may have been quicker; only a pass that begins later can tell.
    """

    cursor: Cursor | None
    reason: str = ""
    unsure: bool = False


def asked(event_log: EventLog, last_event_id: str | None) -> Asked:
    """What the client asks of this log, which is ready."""
    try:
        resume = event_id.parse_last_event_id(last_event_id)
    except ValueError:
        return Asked(None, notices.MALFORMED_ID)
    if resume is None:
        return Asked(None)
    if resume.epoch is not None and resume.epoch not in event_log.epochs:
        return Asked(None, notices.UNKNOWN_HISTORY, unsure=True)
    if resume.cursor.position > event_log.counter:
        return Asked(None, notices.AHEAD_OF_TABLE, unsure=True)
    return Asked(resume.cursor)
