"""A course: the way from what a client holds to the window of one picture, as frames.

All clients that hold the same when they come get the same course, so it is framed once, a chunk at
a time. A slow client keeps its course while newer pictures come; then it goes on in the ring from
where the picture was taken. Knows no socket and no client.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from poller.delivery.view import View
from poller.window.picture import DELETE, Change, Picture
from poller.window.token import EMPTY, Token
from poller.wire import row, sse

CHUNK_BYTES = 64 * 1024  # written at once: what a slow client can hold back in memory
CLEAR = sse.fields("{}", event=row.CLEAR_EVENT)


def lines_of(change: Change) -> bytes:
    """The lines of the event that tells it."""
    if change.kind == DELETE:
        return sse.fields(change.item.identity.decode(), event=row.DELETE_EVENT)
    return change.item.lines


class Course:
    """From a run of `count` rows at `start` to the window of `picture`, which the log holds at
    `seq`; from nothing, behind a `clear`, if `start` is None. Rows have the columns of `view`, and
    the ids begin with `prefix`.

    `void` once too many clients follow older pictures: they are placed again.
    """

    def __init__(
        self,
        prefix: str,
        view: View,
        picture: Picture,
        seq: int,
        start: int | None,
        count: int,
    ) -> None:
        self.seq = seq
        self.void = False
        self.clears = start is None
        self._prefix, self._view = prefix, view
        self._picture = picture
        self._start, self._count = start or 0, count
        self.token = picture.token_of(self._start, count) if count else EMPTY
        self._kept: dict[int, tuple[bytes, int, Token]] | None = {}

    def chunk(self, at: int) -> tuple[bytes, int, Token]:
        """The frames from the one at `at` on, the one after them, and what a client holds then.

        At least one frame; none at the end.
        """
        if self._kept is None:
            return self._framed(at)
        if at not in self._kept:
            self._kept[at] = self._framed(at)
        return self._kept[at]

    def retire(self) -> None:
        """A newer picture was taken: whoever still follows this one frames for itself, so that the
        memory for it is not kept."""
        self._kept = None

    def _steps(self) -> Iterator[tuple[Token, bytes]]:
        if self.clears:
            yield EMPTY, CLEAR
        for change in self._picture.changes_from(self._start, self._count):
            yield change.token, self._view.lines(lines_of(change))

    def _framed(self, at: int) -> tuple[bytes, int, Token]:
        frames: list[bytes] = []
        size, token = 0, self.token
        for token, lines in islice(self._steps(), at, None):
            frames.append(sse.under_id(f"{self._prefix}.{token}", lines))
            size += len(frames[-1])
            if size >= CHUNK_BYTES:
                break
        return b"".join(frames), at + len(frames), token
