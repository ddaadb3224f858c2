"""How far back a client may ask: to the newest rows of a feed, `watch(…, replay=rows)`.

Without a bound `Last-Event-ID: 0` is the whole table for anybody, and so is an id that somebody
makes up. The bound is by what the worker delivered, not by ids: a client may have missed the newest
`rows` of that, among them one that committed late and whose id is far below. What a client has to
hold is what this worker held before those rows. A client that came and went within them does, since
a gap that was open when it left was open before them, too. An id that lacks any of it asks for
older rows, whether it is old or made up. It gets a `reset`, and no row.

The bound holds where a client begins. One that stays and is slow is not cut off.
"""

from __future__ import annotations

from poller.delivery.event_log import EventLog
from poller.ids.named import Named
from poller.wire import event_id
from poller.wire.event_id import Resume


def bounded(event_log: EventLog, resume: Resume, rows: int) -> Resume | None:
    """Where a client goes on that asks for `resume`; None if that is beyond the newest `rows`. From
    the beginning is from the bound."""
    question = "bound", event_log.generation, event_log.oldest, event_log.head, rows
    before = event_log.shared(question, lambda: held_before(event_log, rows))
    if resume == event_id.FROM_THE_BEGINNING:
        return Resume(None, before.cursor, before.mark)
    mark = Named.of(resume.cursor).mark if resume.mark is None else resume.mark
    located = event_log.locate(resume.cursor.position, mark)
    cursor = located[1].cursor if located else resume.cursor
    return None if before.cursor.difference(cursor) else resume


def held_before(event_log: EventLog, rows: int) -> Named:
    """What a client holds that lacks just the newest `rows` of the log, or all that are in it."""
    oldest, head = event_log.oldest, event_log.head
    if oldest == head:
        return event_log.held
    seq = max(oldest, head - rows)
    if seq > oldest:
        (last,) = event_log.entries(seq - 1, 1)
        return last.held
    (first,) = event_log.entries(seq, 1)
    return first.held.without([(first.row_id, first.row_id)])
