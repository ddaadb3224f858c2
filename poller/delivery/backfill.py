"""Backfill: pages of the table for streams that catch up, shared by all who lack the same rows.

When a server of thousands of streams restarts, its clients come back within seconds, with few
different Last-Event-IDs. Where the ring does not reach back to these, each would read the same
pages of the table. So who asks while such a query is under way waits for it, and who comes within
`KEPT_S` gets the page from memory: the database sees few queries, however many the streams.

Streams with a filter come back with an id each, and each lacks other rows. Up to `BLOCK_LACKED`
ids, they share blocks of all rows, out of which each picks its own (`block.py`). Beyond that, SQL
narrows, per view: most rows would be read in vain. What SQL found is then picked again, by Python.
What a page says something of, and whether it was cut off, follows from what SQL found: a full page
that Python empties is not the end.

Safety. A client counts an id in its page without a row as "can never appear". For that the query
must have begun after this was certain of the id, and it is the same certainty for everybody:

- A client asks only for ids in the log's base: the worker delivered their rows, or proved them
  dead. So at the moment at which somebody asked for it, each id's row could be seen, or never can.
  A page answers only for ids that were asked for before its query began (`Page.asked`). An id
  that came into the base later, such as a late commit in the midst of a page, is asked for anew.
- That does not hold up to the log's floor, where a transaction that is older than the worker may
  still bring a row. While there is a floor, clients leave those ids open and ask again every
  second; once it is gone, they ask once more and believe the answer. Each answer must be younger
  than the one before: so a page is nothing to those who ask later. (A row of another view is an
  answer, too: so while there is a floor, SQL does not narrow.)
- In another generation of the log the same ids are other rows. The table may have become another
  one before the poller has noticed: a page whose history the log does not know, or whose counter is
  below what was asked for, is for nobody (`OtherHistory`); the next poll says what it is now.

So these, the `as_of` of a question, must be the same for all who share a page. The client's own
set, the epoch (in ids, not in bodies) and the page's size take no part in it.

What a page may be is old, by KEPT_S: a row that was changed or deleted meanwhile goes out as it
was, as it does from the ring, for much longer; but see `changes_log.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from poller.delivery.block import Block
from poller.delivery.kept_pages import KeptPages
from poller.delivery.page import PAGE_BYTES, Body, Page, paged
from poller.delivery.queries import Queries, Unwanted, Wanted
from poller.delivery.table_rows import PageReader, TableRows
from poller.delivery.view import ALL, View
from poller.ids.ranges import Range, above, clip, contains, size, subtract

FIRST_QUERY_ROWS = 50  # later ones are fitted to PAGE_BYTES
# Asked for at once. A forged Last-Event-ID may name 3,000: a page of rows needs few of them.
QUESTION_RANGES = 500
# Ids. A view's own query takes 0.4 ms if an index leads to its rows, and 34 ms if none does (for
# 200,000 ids); 10,000 ids for everybody take some 60 ms, once.
BLOCK_LACKED = 10_000
FIRST_BLOCK_IDS = 2048  # a power of two, and so are the others: they are fitted to BLOCK_BYTES
FEWEST_BLOCK_IDS, MOST_BLOCK_IDS = 64, 8192
BLOCK_BYTES = 2 * 2**20  # of bodies
BLOCK_TRIES = 8  # a block may end before the id for which it was asked; then the next is asked for


AsOf = tuple[int, ...]  # the log's generation, its floor, how often that was asked about
Known = Callable[[int, int], Sequence[Range]]  # of the ids between, those in the log's base


class _Question(NamedTuple):
    """For whom an answer is good: SQL narrows to a view, or it is for all."""

    as_of: AsOf
    narrowed: View = ALL
    in_blocks: bool = False


def _always() -> bool:
    return True


class Backfill:
    """The pages of one feed. `read_page(ranges, rows)` is the query, of at most `batch_rows`;
    `epochs()` are the names of the history that is being streamed. Its rows have values of the
    columns `filters`."""

    def __init__(
        self,
        feed: str,
        read_page: PageReader,
        batch_rows: int,
        epochs: Callable[[], Container[str]],
        filters: Sequence[str] = (),
    ) -> None:
        self._table = TableRows(feed, read_page, epochs, filters)
        self._batch_rows = batch_rows
        self._query_rows = min(FIRST_QUERY_ROWS, batch_rows)
        self._block_ids = FIRST_BLOCK_IDS
        self._queries = Queries[Page](feed)
        self._kept = KeptPages()

    def page(
        self,
        ranges: Sequence[Range],
        as_of: AsOf,
        wanted: Wanted = _always,
        view: View = ALL,
        known: Known | None = None,
    ) -> Page:
        """What there is of a view in the lowest ids of `ranges`, with at least one row, or in all
        of them where there is none.

        `as_of` is the log's at the moment at which `ranges` were found to be missing. Raises what
        the query raises, to all who wait for it; Unwanted when that is nobody.
        """
        question = _question(ranges, as_of, view)
        left, seen = ranges, list[Body]()
        while True:
            if not wanted():
                raise Unwanted
            page = self._page(question, left[:QUESTION_RANGES], wanted, known)
            page = page if question.narrowed.tag else page.of(view)
            part = page.part(left[:QUESTION_RANGES])
            left = subtract(left, part.asked)
            seen += part.seen if question.in_blocks and as_of[1] else ()
            if part.rows or not left:
                asked = clip(ranges, high=part.upto)
                return part if asked == part.asked else Page(asked, part.rows, seen or None)

    def _page(
        self, question: _Question, ranges: Sequence[Range], wanted: Wanted, known: Known | None
    ) -> Page:
        """One that says something of the lowest id of `ranges`."""
        lowest = ranges[0][0]
        if question.in_blocks and known is not None:
            for _ in range(BLOCK_TRIES):
                if page := self._kept.find(question, lowest):
                    return page
                page = self._ask(question, self._block(question, lowest, known) or ranges, wanted)
                if lowest in page:
                    return page
        return self._kept.find(question, lowest) or self._ask(question, ranges, wanted)

    def _block(self, question: _Question, lowest: int, known: Known) -> Sequence[Range]:
        """What to ask for in place of an id: the ids around it that may be asked for, so that all
        who lack some of them ask for the same."""
        low = lowest - lowest % self._block_ids
        ranges = known(low, low + self._block_ids - 1)
        for page in self._kept.all(question):
            ranges = subtract(ranges, page.asked)
        if not contains(ranges[:QUESTION_RANGES], lowest):
            ranges = above(ranges, lowest - 1)
        return ranges[:QUESTION_RANGES]

    # -- reading ----------------------------------------------------------------------------

    def _ask(self, question: _Question, ranges: Sequence[Range], wanted: Wanted) -> Page:
        def read() -> Page:
            of = self._read_block if question.in_blocks else self._read_pages
            pages = of(question.narrowed, ranges)
            for page in reversed(pages):
                self._kept.keep(question, page)
            return pages[0]

        return self._queries.ask((question, ranges[0][0]), wanted, read)

    def _read_pages(self, view: View, ranges: Sequence[Range]) -> list[Page]:
        """As many as a query brings."""
        found = self._table.read(view, ranges, self._query_rows)
        self._fit(found.size_bytes, cut_off=found.cut_off)
        return paged(found.asked, found.rows)

    def _read_block(self, view: View, ranges: Sequence[Range]) -> list[Page]:
        found = self._table.read(view, ranges, self._block_ids)
        self._fit_block(found.size_bytes, len(found.rows))
        return [Block(found.asked, found.rows, self._table.filters, found.values)]

    def _fit(self, size_bytes: int, *, cut_off: bool) -> None:
        """Ask for as many rows next time as make about a page."""
        if size_bytes > PAGE_BYTES:
            self._query_rows = max(1, self._query_rows // 2)
        elif cut_off and size_bytes < PAGE_BYTES // 4:
            self._query_rows = min(self._batch_rows, self._query_rows * 2)

    def _fit_block(self, size_bytes: int, rows: int) -> None:
        if size_bytes > BLOCK_BYTES:
            self._block_ids = max(FEWEST_BLOCK_IDS, self._block_ids // 2)
        elif size_bytes < BLOCK_BYTES // 4 and rows > self._block_ids // 2:
            self._block_ids = min(MOST_BLOCK_IDS, self._block_ids * 2)


def _question(ranges: Sequence[Range], as_of: AsOf, view: View) -> _Question:
    if not view.columns:
        return _Question(as_of)
    if as_of[1] or size(ranges) <= BLOCK_LACKED:
        return _Question(as_of, in_blocks=True)
    return _Question(as_of, view)
