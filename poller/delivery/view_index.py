"""The index: which views a row is in, and where in the ring the rows of a view are.

For each set of columns by which some stream is filtered, a row is looked up once, however many
streams and views there are; and a view is found its rows without a look at those of others. The log
owns it, and alone changes it.

`gone` is the safety of a view. A stream that stands at `seq` lacks nothing that the ring does not
have as long as no row of its view has left the ring since, so as long as `seq` >= `gone`: rows of
other views may have come and gone by the thousand. It is set by what evicts the row, at once. (Told
by the next round of the fanout, rows were lost that left the ring before it.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from gevent.event import Event

from poller.delivery.entry import F, Framed, Placed
from poller.delivery.view import ALL, Key, KeyOf, View, key_of
from poller.wire import event_id


class OpenView:
    """A view that streams have open; it is made by the index.

    `gone`: the seq after the newest of its rows that left the ring, as far as is known.
    `listeners` are set when it gets a row.
    """

    __slots__ = ("_epoch", "_listeners", "_prefix", "gone", "keys", "streams", "view")

    def __init__(self, view: View, gone: int) -> None:
        self.view = view
        self.keys = tuple(view.keys)
        self.gone = gone
        self.streams = 0
        self._listeners: set[Event] | None = None  # few views need one
        self._epoch = self._prefix = ""

    @property
    def listeners(self) -> set[Event]:
        if self._listeners is None:
            self._listeners = set()
        return self._listeners

    def prefix(self, epoch: str) -> str:
        """What stands in its ids before the token."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._prefix = event_id.prefix(epoch, self.view.tag)
        return self._prefix


class _Rows:
    """Where the rows of a key are in the ring, the oldest first: some columns tell rows apart."""

    def __init__(self) -> None:
        self._seqs: dict[Key, list[int]] = {}

    def append(self, key: Key, seq: int) -> None:
        if (seqs := self._seqs.get(key)) is None:
            self._seqs[key] = [seq]
        else:
            seqs.append(seq)

    def evict(self, key: Key) -> None:
        seqs = self._seqs[key]
        del seqs[0]
        if not seqs:
            del self._seqs[key]

    def clear(self) -> None:
        self._seqs.clear()

    def of(self, key: Key) -> Sequence[int]:
        return self._seqs.get(key, ())


class _AllRows(_Rows):
    """The same where no column tells rows apart: it is all of the ring, and nothing is kept."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = self._end = first

    def append(self, key: Key, seq: int) -> None:
        self._end = seq + 1

    def evict(self, key: Key) -> None:
        self._first += 1

    def clear(self) -> None:
        self._first = self._end

    def of(self, key: Key) -> Sequence[int]:
        return range(self._first, self._end)


class _Set:
    """The views that are filtered by the same columns."""

    __slots__ = ("key_of", "rows", "views")

    def __init__(self, key_of: KeyOf, rows: _Rows) -> None:
        self.key_of = key_of
        self.rows = rows
        self.views: dict[Key, list[OpenView]] = {}


class ViewIndex:
    """That of one log, whose rows have values of the columns `filters`, in this order."""

    def __init__(self, filters: Sequence[str] = ()) -> None:
        self.filters = tuple(filters)
        self._opened: dict[View, OpenView] = {}
        self._sets: dict[tuple[str, ...], _Set] = {}
        self.everything = self.open(ALL, 0, ())  # there is always a stream of all rows to come

    def __iter__(self) -> Iterator[OpenView]:
        return iter(self._opened.values())

    # -- the log's side ---------------------------------------------------------------------

    def append(self, entry: Framed, seq: int) -> None:
        for one in self._sets.values():
            one.rows.append(one.key_of(entry.values), seq)

    def evict(self, entry: Framed, seq: int) -> None:
        for one in self._sets.values():
            key = one.key_of(entry.values)
            one.rows.evict(key)
            for opened in one.views.get(key, ()):
                opened.gone = seq + 1

    def clear(self) -> None:
        """The ring is empty: another history begins."""
        for one in self._sets.values():
            one.rows.clear()

    # -- the streams' side ------------------------------------------------------------------

    def open(self, view: View, oldest: int, entries: Iterable[Framed]) -> OpenView:
        """For one more stream; `close()` it with the stream. `entries` are the ring's, from the seq
        `oldest` on. Raises ValueError for a column that is no filter."""
        opened = self._opened.get(view)
        if opened is None:
            one = self._sets.get(view.columns)
            if one is None:
                one = self._sets[view.columns] = self._made(view.columns, oldest, entries)
            opened = self._opened[view] = OpenView(view, oldest)
            for key in opened.keys:
                one.views.setdefault(key, []).append(opened)
        opened.streams += 1
        return opened

    def close(self, opened: OpenView) -> None:
        """The last stream closes the view; a set of columns without views costs nothing more."""
        opened.streams -= 1
        if opened.streams:
            return
        columns = opened.view.columns
        one = self._sets[columns]
        del self._opened[opened.view]
        for key in opened.keys:
            one.views[key].remove(opened)
            if not one.views[key]:
                del one.views[key]
        if not one.views:
            del self._sets[columns]

    def _made(self, columns: tuple[str, ...], oldest: int, entries: Iterable[Framed]) -> _Set:
        made = _Set(key_of(self.filters, columns), _Rows() if columns else _AllRows(oldest))
        for seq, entry in enumerate(entries, start=oldest):
            made.rows.append(made.key_of(entry.values), seq)
        return made

    def touched(self, placed: Sequence[Placed[F]]) -> dict[OpenView, list[Placed[F]]]:
        """The views that some of these rows are in, each with its rows."""
        found: dict[OpenView, list[Placed[F]]] = {}
        for one in self._sets.values():
            key_of, views = one.key_of, one.views
            for row in placed:
                for opened in views.get(key_of(row[1].values), ()):
                    if opened in found:
                        found[opened].append(row)
                    else:
                        found[opened] = [row]
        return found

    def seqs(self, opened: OpenView, seq: int) -> Sequence[int]:
        """Where in the ring its rows are, from `seq` on."""
        each = [some[bisect_left(some, seq) :] for some in self._rows_of(opened)]
        return each[0] if len(each) == 1 else sorted(place for some in each for place in some)

    def last(self, opened: OpenView) -> int:
        """The seq after its newest row: a stream that stands there lacks nothing."""
        return max((opened.gone, *(some[-1] + 1 for some in self._rows_of(opened) if some)))

    def since(self, opened: OpenView, seq: int) -> int:
        """The seq after the newest of its rows before `seq`: from there to `seq` it has none."""
        found = opened.gone
        for some in self._rows_of(opened):
            if at := bisect_left(some, seq):
                found = max(found, some[at - 1] + 1)
        return found

    def _rows_of(self, opened: OpenView) -> list[Sequence[int]]:
        rows = self._sets[opened.view.columns].rows
        return [rows.of(key) for key in opened.keys]
