"""Where a stream stands, so that another process can go on there: the place of one reader as text.

A client that comes back says so by its last id. A stream that moves has no last id of its own: it
may be half way through a frame, and what it has may be more than a token has room for. So its
standing says all of the set, in the names that the history has *now*: its ids may have been given
under an older one, which the other process never heard of.

The other process finds the stream's place as it finds that of a client that comes back, by the same
rules: one that has not polled that far waits for the pass that has, one that is ahead sends what is
lacking, and a history that is another one is told by a `reset`. Only nothing is said of it: the
client has had its `start`, and its `live` if that was sent.

Not every stream can be told of at every moment. One whose history has changed is first to be told
so (`reset`). In the middle of a chunk, one whose set has more gaps than its ids can name stands
between two sets of which only the second is known. These have no standing (None); at their next
chunk they do.
"""

from __future__ import annotations

from typing import NamedTuple

from poller.delivery.event_log import EventLog
from poller.delivery.place import Place
from poller.ids.cursor import Cursor
from poller.ids.cursor_token import parse_token


class Standing(NamedTuple):
    """What the client holds in the history `epoch`. If that is empty the stream has not begun, and
    `holds` is the `Last-Event-ID` that it came with."""

    epoch: str
    holds: str | None
    said_live: bool = False


def standing_of(place: Place, frame_id: str | None, *, said_live: bool) -> Standing | None:
    """That of a stream with this place, which has begun; after the frame with this id if that is
    given, one of those that it was sent last."""
    if not place.is_here:
        return None
    if frame_id is None:
        place.pass_others()
        held: Cursor | None = place.held.cursor
    else:
        held = _held_at(place.log, frame_id)
    if held is None:
        return None
    whole = place.log.shared(("whole", held), held.whole)
    return Standing(place.log.epoch, whole, said_live)


def _held_at(event_log: EventLog, frame_id: str) -> Cursor | None:
    """What a client has that took this id; None if that is more than it says, and nobody knows."""
    said = parse_token(frame_id.rpartition(".")[2])
    if said.mark is None:
        return Cursor.of(said)
    located = event_log.locate(said.position, said.mark)
    return located[1].cursor if located else None
