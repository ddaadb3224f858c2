"""Pages that are kept for a short time, for others who lack the same rows: see `backfill.py`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent

from poller.delivery.page import Page

# A worker's clients come back over 2 to 12 s (see streams.py): within that each page is read a few
# times, not hundreds. Longer would save little more, and send rows that are older.
KEPT_S = 5.0
KEPT_BYTES = 16 * 2**20  # per feed, beside the log's 64 MB; some 30,000 rows of 200 bytes
KEPT_PAGES = 256  # each is looked at by whoever asks


@dataclass(frozen=True, slots=True)
class _Kept:
    key: Hashable
    page: Page
    until: float


class KeptPages:
    """Those of one feed. The key of a page says for whom it is good."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()  # the oldest first
        self.size_bytes = 0
        self._timer: Any = None

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Hashable, row_id: int) -> Page | None:
        """The oldest that says something of this id."""
        return next((page for page in self.all(key) if row_id in page), None)

    def all(self, key: Hashable) -> Iterator[Page]:
        self._forget_old()
        return (kept.page for kept in self._kept if kept.key == key)

    def keep(self, key: Hashable, page: Page) -> None:
        self._kept.append(_Kept(key, page, time.monotonic() + KEPT_S))
        self.size_bytes += page.size_bytes
        while self.size_bytes > KEPT_BYTES or len(self._kept) > KEPT_PAGES:
            self._forget()
        self._forget_later()

    def _forget(self) -> None:
        self.size_bytes -= self._kept.popleft().page.size_bytes

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._kept and self._kept[0].until <= now:
            self._forget()

    def _forget_later(self) -> None:
        """Also when nobody asks any more: memory goes back to where it was."""
        if self._timer is None and self._kept:
            self._timer = gevent.get_hub().loop.timer(KEPT_S)
            self._timer.start(self._time_is_over)

    def _time_is_over(self) -> None:
        self._timer.close()
        self._timer = None
        self._forget_old()
        self._forget_later()
