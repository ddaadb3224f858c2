"""A page: all rows of some ranges of ids, as one query saw them, encoded for whoever asks.

It knows no SQL and no client. What it says of an id in `asked` is final: the row, or that none was
there. It says nothing of any other id. Immutable but for the memo of its last framing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gevent.lock import BoundedSemaphore

from poller.ids.named import Named
from poller.ids.ranges import Range, clip, contains, ranges_of, subtract
from poller.ids.steps import Steps
from poller.runtime.hub import in_slices
from poller.wire import event_id

PAGE_BYTES = 64 * 1024  # of bodies; as CHUNK_BYTES of delivery.py, what a slow client can hold back
PAGE_OVERHEAD_BYTES = 1000  # a Page with its lock, as CPython 3.11 keeps them
ROW_OVERHEAD_BYTES = 150  # the tuple, the id and the head of the bytes object
RANGE_BYTES = 120

Body = tuple[int, bytes]  # a row's id, and the lines of its event


class Page:
    """`asked` are sorted ranges, not empty; `rows` are all rows in them, the lowest id first."""

    def __init__(self, asked: Sequence[Range], rows: Sequence[Body]) -> None:
        self.asked = tuple(asked)
        self.rows = rows
        bodies = sum(len(body) for _, body in rows)
        # Twice the bodies: the framing holds them again.
        self.size_bytes = (
            PAGE_OVERHEAD_BYTES
            + RANGE_BYTES * len(self.asked)
            + ROW_OVERHEAD_BYTES * len(rows)
            + 2 * bodies
        )
        self._framing = BoundedSemaphore(1)
        self._framed: tuple[object, bytes, Named] | None = None

    @property
    def upto(self) -> int:
        """The greatest id of which it says anything."""
        return self.asked[-1][1]

    def __contains__(self, row_id: int) -> bool:
        """Whether it says anything of this id."""
        return contains(self.asked, row_id)

    def part(self, ranges: Sequence[Range]) -> Page:
        """What it says of the lowest ids in `ranges`, up to the first of which it says nothing.

        The lowest of all must be in it.
        """
        unknown = subtract(ranges, self.asked)
        asked = clip(ranges, high=unknown[0][0] - 1 if unknown else self.upto)
        if asked == self.asked:
            return self
        absent = subtract(((1, self.upto),), asked)
        return Page(asked, [row for row in self.rows if not contains(absent, row[0])])

    def framed(self, epoch: str, held: Named, unproven: Sequence[Range]) -> tuple[bytes, Named]:
        """The rows' frames for a client that holds `held`, each under an id made of its own set;
        and what it holds after them.

        Of `asked` the client must hold nothing. Ids that the page lacks count as delivered, since
        they can never appear, but for those in `unproven`.

        In a storm nearly all who come hold the same: it is done once for them, by the first, and
        the others wait for it.
        """
        key = epoch, held, unproven
        with self._framing:
            if self._framed is None or self._framed[0] != key:
                self._framed = (key, *self._frame(epoch, held, unproven))
            return self._framed[1:]

    def _frame(self, epoch: str, held: Named, unproven: Sequence[Range]) -> tuple[bytes, Named]:
        ids = ranges_of(row_id for row_id, _ in self.rows)
        taken = subtract(self.asked, subtract(unproven, ids))
        if not self.rows:
            return b"", held.then(taken)
        steps = Steps(held, taken, self.rows[0][0], self.rows[-1][0])
        frames = [
            event_id.frame_under(epoch, steps.token(row_id), body)
            for row_id, body in in_slices(self.rows)
        ]
        return b"".join(frames), steps.change.after


def paged(asked: Sequence[Range], rows: Sequence[Body]) -> list[Page]:
    """All rows of `asked` as pages of at most PAGE_BYTES, one row at least in each but the last.

    A row without lines was changed while it was read, and has another id by now.
    """
    rows = [one for one in rows if one[1]]
    pages = []
    start = size = 0
    for at, (_, body) in enumerate(rows):
        size += len(body)
        if size > PAGE_BYTES and at > start:
            pages.append(Page(clip(asked, high=rows[at - 1][0]), rows[start:at]))
            asked = subtract(asked, pages[-1].asked)
            start, size = at, len(body)
    return [*pages, Page(asked, rows[start:])]
