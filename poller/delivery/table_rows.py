"""Rows of the table for catch-up, as a query finds them, encoded.

A query is handed in: no SQL is known here. What it says something of, and whether it was cut off,
follows from what it found, before a row is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import NamedTuple, Protocol

from poller.delivery.losses import Losses
from poller.delivery.page import Body
from poller.delivery.view import View, key_of
from poller.ids.ranges import Range, clip
from poller.runtime.hub import in_slices
from poller.wire import row
from poller.wire.exact import NO_VALUE, Exact
from poller.wire.row import Row


class FoundRows(Protocol):
    """The rows, the name of their history, and the greatest id that it had, if that is told."""

    @property
    def epoch(self) -> str: ...
    @property
    def counter(self) -> int | None: ...
    @property
    def rows(self) -> list[Row]: ...


class PageReader(Protocol):
    """At most `limit` rows with ids in `ranges`, lowest first; `narrowed` to these values of these
    columns, as far as the database tells values apart."""

    def __call__(
        self,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Mapping[str, Sequence[Exact]] = ...,
        /,
    ) -> FoundRows: ...


class OtherHistory(Exception):  # noqa: N818 - no fault: the next poll finds out
    """The table is not, or not by this name, the one that is being streamed."""


class Answer(NamedTuple):
    """`rows` are all there are in `asked`, with their `values` beside them."""

    asked: Sequence[Range]
    cut_off: bool
    rows: list[Body]
    values: list[tuple[Exact, ...]]

    @property
    def size_bytes(self) -> int:
        return sum(len(body) for _, body in self.rows)


class TableRows:
    """Those of one feed. `epochs()` are the names of the history that is being streamed; rows have
    values of the columns `filters`."""

    def __init__(
        self,
        feed: str,
        read_page: PageReader,
        epochs: Callable[[], Container[str]],
        filters: Sequence[str],
    ) -> None:
        self.filters = filters
        self._losses = Losses(feed)
        self._read_page = read_page
        self._epochs = epochs
        self._nothing = (NO_VALUE,) * len(filters)  # a row that could not be read

    def read(self, view: View, ranges: Sequence[Range], limit: int) -> Answer:
        """At most `limit` rows of a view. Raises what the query raises; OtherHistory."""
        narrowed = (view.filter,) if view.columns else ()
        found = self._read_page(ranges, limit, *narrowed)
        if found.epoch not in self._epochs() or _began_again(found, ranges):
            raise OtherHistory
        rows = found.rows
        cut_off = row.is_cut_off(rows, limit)
        asked = clip(ranges, high=rows[-1].id) if cut_off else ranges
        if view.columns:  # SQL narrows, Python decides
            key, keys = key_of(self.filters, view.columns), {*view.keys}
            rows = [new for new in rows if key(self._values(new)) in keys]
        found_lines = ((new, view.lines(self._body(new))) for new in in_slices(rows))
        # One without lines was changed while it was read, and has another id by now.
        read = [(new, lines) for new, lines in found_lines if lines]
        return Answer(
            asked,
            cut_off,
            [(new.id, lines) for new, lines in read],
            [self._values(new) for new, _ in read],
        )

    def _values(self, new: Row) -> tuple[Exact, ...]:
        return new.values or self._nothing

    def _body(self, new: Row) -> bytes:
        body, problem = row.body(new)
        if problem is not None:
            self._losses.report(new.id, problem)
        return body


def _began_again(found: FoundRows, asked: Sequence[Range]) -> bool:
    """Whether the ids started again. All that is asked for was delivered, so the table had it."""
    return found.counter is not None and found.counter < asked[-1][1]
