"""Pages of the table for streams that catch up, few queries at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gevent.lock import BoundedSemaphore

from poller.cursor import Range
from poller.row import Row

QUERIES_AT_ONCE = 4  # per feed: the poller and the pages need their connections

PageReader = Callable[[Sequence[Range], int], list[Row]]


class Backfill:
    """Reads a page for whoever asks."""

    def __init__(self, read_page: PageReader) -> None:
        self._read_page = read_page
        self._turns = BoundedSemaphore(QUERIES_AT_ONCE)

    def page(self, ranges: Sequence[Range], rows: int) -> list[Row]:
        """At most `rows` rows of `ranges`, the lowest ids first. Raises what the query raises."""
        with self._turns:
            return self._read_page(ranges, rows)
