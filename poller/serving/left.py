"""What is left of a stream when it stops: where it stands, and its unsent bytes."""

from __future__ import annotations

from typing import NamedTuple

from poller.delivery.standing import Standing
from poller.serving.socket_stream import SocketStream

MOST_REST_BYTES = 64 * 1024  # of a frame: more travels in no message, and is written first


class Left(NamedTuple):
    """`rest` and `owed` are those of `wire/unsent.py`; `rows` counts what was sent, with `rest`."""

    standing: Standing
    rest: bytes
    owed: int
    rows: int

    @classmethod
    def of(cls, stream: SocketStream, rest: bytes | memoryview) -> Left | None:
        """That of a stream that was sent all but the `rest` of its current chunk. None if it cannot
        move now: it ends, nobody can say where it stands, or too much is left of a frame."""
        if stream.closed_because:
            return None
        unsent = stream.client.unsent(rest)
        if len(unsent.rest) > MOST_REST_BYTES:
            return None
        if (standing := stream.subscriber.standing(unsent.frame_id)) is None:
            return None
        if unsent.leaves_live_out:
            standing = standing._replace(said_live=False)
        rows = stream.subscriber.rows - unsent.left_out
        return cls(standing, unsent.rest, unsent.owed, rows)
