"""A page: all rows of some ranges of ids, as one query saw them, encoded for whoever asks.

It knows no SQL and no client. What it says of an id in `asked` is final: the row, or that none was
there. It says nothing of any other id. Immutable but for the memo of its last framing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gevent.lock import BoundedSemaphore

from poller.delivery.view import View
from poller.ids.named import Named
from poller.ids.ranges import Range, clip, contains, ranges_of, subtract
from poller.ids.steps import Steps
from poller.runtime.hub import in_slices
from poller.wire import event_id

PAGE_BYTES = 64 * 1024  # of bodies; as CHUNK_BYTES of delivery.py, what a slow client can hold back
PAGE_OVERHEAD_BYTES = 1000  # a Page with its lock, as CPython 3.11 keeps them
ROW_OVERHEAD_BYTES = 150  # the tuple, the id and the head of the bytes object
RANGE_BYTES = 120
VIEWS_KEPT = 64  # of one page; each is small

Body = tuple[int, bytes]  # a row's id, and the lines of its event


class Page:
    """`asked` are sorted ranges, not empty; `rows` are all rows in them, the lowest id first.

    In a view there may be fewer rows than were `seen`: those are there, but not for it.
    """

    def __init__(
        self, asked: Sequence[Range], rows: Sequence[Body], seen: Sequence[Body] | None = None
    ) -> None:
        self.asked = tuple(asked)
        self.rows = rows
        self.seen = rows if seen is None else seen
        self._views: dict[View, Page] = {}
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
        rows = [row for row in self.rows if not contains(absent, row[0])]
        return Page(asked, rows, None if self.seen is self.rows else self.seen)

    def of(self, view: View) -> Page:
        """The same in a view; of views that many share it is made once."""
        if not view.tag:
            return self
        if view not in self._views:
            while len(self._views) >= VIEWS_KEPT:
                del self._views[next(iter(self._views))]
            rows = [(row_id, view.lines(body)) for row_id, body in self._rows_of(view)]
            self._views[view] = Page(self.asked, rows, self.rows)
        return self._views[view]

    def _rows_of(self, view: View) -> Sequence[Body]:
        return self.rows

    def framed(self, prefix: str, held: Named, unproven: Sequence[Range]) -> tuple[bytes, Named]:
        """The rows' frames for a client that holds `held`, each under an id made of its own set;
        and what it holds after them.

        Of `asked` the client must hold nothing. Ids that the page lacks count as delivered, since
        they can never appear, but for those in `unproven`.

        In a storm nearly all who come hold the same: it is done once for them, by the first, and
        the others wait for it.
        """
        key = prefix, held, unproven
        with self._framing:
            if self._framed is None or self._framed[0] != key:
                self._framed = (key, *self._frame(prefix, held, unproven))
            return self._framed[1:]

    def _frame(self, prefix: str, held: Named, unproven: Sequence[Range]) -> tuple[bytes, Named]:
        if unproven:
            unproven = subtract(unproven, ranges_of(sorted(row_id for row_id, _ in self.seen)))
        taken = subtract(self.asked, unproven)
        if not self.rows:
            return b"", held.then(taken)
        steps = Steps(held, taken, self.rows[0][0], self.rows[-1][0])
        frames = [
            event_id.frame_under(prefix, steps.token(row_id), body)
            for row_id, body in in_slices(self.rows)
        ]
        return b"".join(frames), steps.change.after


def paged(asked: Sequence[Range], rows: Sequence[Body]) -> list[Page]:
    """All rows of `asked` as pages of at most PAGE_BYTES, one row at least in each but the last."""
    pages = []
    start = size = 0
    for at, (_, body) in enumerate(rows):
        size += len(body)
        if size > PAGE_BYTES and at > start:
            pages.append(Page(clip(asked, high=rows[at - 1][0]), rows[start:at]))
            asked = subtract(asked, pages[-1].asked)
            start, size = at, len(body)
    return [*pages, Page(asked, rows[start:])]
