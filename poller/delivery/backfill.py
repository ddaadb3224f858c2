"""Backfill: pages of the table for streams that catch up, shared by all who lack the same rows.

When a server of thousands of streams restarts, its clients come back within seconds, with few
different Last-Event-IDs. Where the ring does not reach back to these, each would read the same
pages of the table. So who asks while such a query is under way waits for it, and who comes within
`KEPT_S` gets the page from memory: the database sees few queries, however many the streams.

Safety. A client counts an id in its page without a row as "can never appear". For that the query
must have begun after this was certain of the id, and it is the same certainty for everybody:

- A client asks only for ids in the log's base: the worker delivered their rows, or proved them
  dead. So at the moment at which somebody asked for it, each id's row could be seen, or never can.
  A page answers only for ids that were asked for before its query began (`Page.asked`). An id
  that came into the base later, such as a late commit in the midst of a page, is asked for anew.
- That does not hold up to the log's floor, where a transaction that is older than the worker may
  still bring a row. While there is a floor, clients leave those ids open and ask again every
  second; once it is gone, they ask once more and believe the answer. Each answer must be younger
  than the one before: so a page is nothing to those who ask later.
- In another generation of the log the same ids are other rows. The table may have become another
  one before the poller has noticed: a page whose history the log does not know, or whose counter is
  below what was asked for, is for nobody (`OtherHistory`); the next poll says what it is now.

So these, the `as_of` of a question, must be the same for all who share a page. The client's own
set, the epoch (in ids, not in bodies) and the page's size take no part in it.

What a page may be is old, by KEPT_S: a row that was changed or deleted meanwhile goes out as it
was, as it does from the ring, for much longer; but see `changes_log.py`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent.lock import BoundedSemaphore

from poller.delivery.losses import Losses
from poller.delivery.page import PAGE_BYTES, Body, Page, paged
from poller.ids.ranges import Range, clip, subtract
from poller.runtime import log
from poller.runtime.hub import in_slices
from poller.wire import row
from poller.wire.row import Row

QUERIES_AT_ONCE = 2  # per feed: of the worker's few connections the other feeds need some
FIRST_QUERY_ROWS = 50  # later ones are fitted to PAGE_BYTES
# A worker's clients come back over 2 to 12 s (see streams.py): within that each page is read a few
# times, not hundreds. Longer would save little more, and send rows that are older.
KEPT_S = 5.0
KEPT_BYTES = 16 * 2**20  # per feed, beside the log's 64 MB; some 30,000 rows of 200 bytes
KEPT_PAGES = 256  # each is looked at by whoever asks
# Asked for at once. A forged Last-Event-ID may name 3,000: a page of rows needs few of them.
QUESTION_RANGES = 500


class FoundRows(Protocol):
    """The rows, the name of their history, and the greatest id that it had, if that is told."""

    @property
    def epoch(self) -> str: ...
    @property
    def counter(self) -> int | None: ...
    @property
    def rows(self) -> list[Row]: ...


class OtherHistory(Exception):  # noqa: N818 - no fault: the next poll finds out
    """The table is not, or not by this name, the one that is being streamed."""


def _began_again(found: FoundRows, asked: Sequence[Range]) -> bool:
    """Whether the ids started again. All that is asked for was delivered, so the table had it."""
    return found.counter is not None and found.counter < asked[-1][1]


PageReader = Callable[[Sequence[Range], int], FoundRows]
AsOf = tuple[int, ...]  # the log's generation, its floor, how often that was asked about
Wanted = Callable[[], bool]  # whether somebody still waits for the page


class Unwanted(Exception):  # noqa: N818 - no fault: who asked has left
    """Nobody waits for the page any more."""


def _always() -> bool:
    return True


@dataclass(eq=False, slots=True)
class _Query:
    """One that is under way, for all who ask for its lowest id. The greenlet is its own: an asker
    may be killed, and the others still get their page, on a connection that nobody spoilt."""

    as_of: AsOf
    ranges: Sequence[Range]
    askers: list[Wanted] = field(default_factory=list)
    begun: bool = False
    greenlet: gevent.Greenlet[..., Any] = field(init=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    page: Page
    as_of: AsOf
    until: float


class Backfill:
    """The pages of one feed. `read_page(ranges, rows)` is the query, of at most `batch_rows`;
    `epochs()` are the names of the history that is being streamed."""

    def __init__(
        self,
        feed: str,
        read_page: PageReader,
        batch_rows: int,
        epochs: Callable[[], Container[str]],
    ) -> None:
        self._feed = feed
        self._losses = Losses(feed)
        self._read_page = read_page
        self._batch_rows = batch_rows
        self._epochs = epochs
        self._query_rows = min(FIRST_QUERY_ROWS, batch_rows)
        self._turns = BoundedSemaphore(QUERIES_AT_ONCE)
        self._under_way: dict[tuple[AsOf, int], _Query] = {}
        self._kept: deque[_Kept] = deque()  # the oldest first
        self._kept_bytes = 0
        self._timer: Any = None

    def page(self, ranges: Sequence[Range], as_of: AsOf, wanted: Wanted = _always) -> Page:
        """The lowest ids of `ranges`, with at least one row, or all of them where there is none.

        `as_of` is the log's at the moment at which `ranges` were found to be missing. Raises what
        the query raises, to all who wait for it; Unwanted when that is nobody.
        """
        left = ranges
        while True:
            if not wanted():
                raise Unwanted
            part = self._part(left[:QUESTION_RANGES], as_of, wanted)
            left = subtract(left, part.asked)
            if part.rows or not left:
                asked = clip(ranges, high=part.upto)
                return part if asked == part.asked else Page(asked, part.rows)

    def _part(self, ranges: Sequence[Range], as_of: AsOf, wanted: Wanted) -> Page:
        lowest = ranges[0][0]
        self._forget_old()
        for kept in self._kept:
            if kept.as_of == as_of and lowest in kept.page:
                return kept.page.part(ranges)
        return self._ask(ranges, as_of, wanted).part(ranges)

    # -- queries under way ------------------------------------------------------------------

    def _ask(self, ranges: Sequence[Range], as_of: AsOf, wanted: Wanted) -> Page:
        key = as_of, ranges[0][0]
        query = self._under_way.get(key)
        if query is None:
            query = self._under_way[key] = _Query(as_of, ranges)
            query.greenlet = gevent.spawn(self._run, query)
        query.askers.append(wanted)
        try:
            outcome = query.greenlet.get()
        finally:
            query.askers.remove(wanted)
            if not (query.askers or query.begun):  # who comes and goes shall not fill the queue
                del self._under_way[key]
                query.greenlet.kill(block=False)
        if isinstance(outcome, Page):
            return outcome
        raise outcome.with_traceback(None)  # or it would grow with each who raises it

    def _run(self, query: _Query) -> Page | Exception:
        """The page that begins with the lowest id of the query; the others are kept, too."""
        with self._turns:
            if not query.askers:  # its turn came before the kill did; then it must not begin
                raise gevent.GreenletExit
            query.begun = True
            try:
                if not any(wanted() for wanted in query.askers):
                    return Unwanted()
                pages = self._read(query.ranges)
            except Exception as error:  # noqa: BLE001 - raised again in those who wait
                log.warning("backfill failed", feed=self._feed, error=type(error).__name__)
                return error
            else:
                for page in reversed(pages):
                    self._keep(page, query.as_of)
                return pages[0]
            finally:
                del self._under_way[query.as_of, query.ranges[0][0]]

    def _read(self, ranges: Sequence[Range]) -> list[Page]:
        limit = self._query_rows
        found = self._read_page(ranges, limit)
        if found.epoch not in self._epochs() or _began_again(found, ranges):
            raise OtherHistory
        rows = found.rows
        bodies: list[Body] = [(new.id, self._body(new)) for new in in_slices(rows)]
        cut_off = row.is_cut_off(rows, limit)
        self._fit(sum(len(body) for _, body in bodies), cut_off=cut_off)
        return paged(clip(ranges, high=rows[-1].id) if cut_off else ranges, bodies)

    def _body(self, new: Row) -> bytes:
        body, problem = row.body(new)
        if problem is not None:
            self._losses.report(new.id, problem)
        return body

    def _fit(self, size_bytes: int, *, cut_off: bool) -> None:
        """Ask for as many rows next time as make about a page."""
        if size_bytes > PAGE_BYTES:
            self._query_rows = max(1, self._query_rows // 2)
        elif cut_off and size_bytes < PAGE_BYTES // 4:
            self._query_rows = min(self._batch_rows, self._query_rows * 2)

    # -- pages that are kept ----------------------------------------------------------------

    def _keep(self, page: Page, as_of: AsOf) -> None:
        self._kept.append(_Kept(page, as_of, time.monotonic() + KEPT_S))
        self._kept_bytes += page.size_bytes
        while self._kept_bytes > KEPT_BYTES or len(self._kept) > KEPT_PAGES:
            self._forget()
        self._forget_later()

    def _forget(self) -> None:
        self._kept_bytes -= self._kept.popleft().page.size_bytes

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
