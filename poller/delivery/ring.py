"""The ring: the newest entries, bounded by rows and by bytes, and where those of a view are.

Every entry has a number of its own, its seq. `oldest` <= every seq that can be read < `head`; both
only grow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic

from poller.delivery.entry import Batch, F, Placed, joined
from poller.delivery.view import View
from poller.delivery.view_index import OpenView, ViewIndex


class Ring(Generic[F]):
    """That of one log. No method yields. `filters` are the columns whose values its entries have.

    `generation` counts the histories; entries are of the present one. `base_position` is the
    greatest id that has left the ring.
    """

    def __init__(
        self, capacity_rows: int, capacity_bytes: int, filters: Sequence[str] = ()
    ) -> None:
        self._capacity_rows = capacity_rows
        self._capacity_bytes = capacity_bytes
        self._entries: deque[F] = deque()
        self._bytes = 0
        self._joined: tuple[OpenView, int, int, Batch] | None = None
        self.views = ViewIndex(filters)
        self.generation = 0
        self.base_position = 0
        self.head = 0

    @property
    def oldest(self) -> int:
        """The seq of the oldest entry; equal to `head` if the ring is empty."""
        return self.head - len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes held, overhead included."""
        return self._bytes

    def entries(self, seq: int, limit: int) -> list[F]:
        """At most `limit` entries from `seq`, which must not be below `oldest`."""
        start = seq - self.oldest
        return [self._entries[i] for i in range(start, min(start + limit, len(self._entries)))]

    def part(self, seq: int, max_bytes: int) -> list[Placed[F]]:
        """The entries from `seq` on, as many as have `max_bytes`, at least one if there is one."""
        found: list[Placed[F]] = []
        size = 0
        for place, entry in self._placed(range(seq, self.head)):
            size += len(entry.frame)
            if found and size > max_bytes:
                break
            found.append((place, entry))
        return found

    def newest_ids(self, limit: int) -> list[int]:
        """The greatest ids that were brought last, at most `limit`, lowest first. A row that was
        late, and whose id is far below, is not among them."""
        since = max(self.oldest, self.head - 2 * limit)
        return sorted(one.row_id for one in self.entries(since, 2 * limit))[-limit:]

    def _placed(self, seqs: Iterable[int]) -> Iterator[Placed[F]]:
        oldest = self.oldest
        return ((seq, self._entries[seq - oldest]) for seq in seqs)

    # -- writing ----------------------------------------------------------------------------

    def _append(self, entries: Iterable[F]) -> list[Placed[F]]:
        new: list[Placed[F]] = []
        for entry in entries:
            self._entries.append(entry)
            self._bytes += entry.size_bytes
            self.views.append(entry, self.head)
            new.append((self.head, entry))
            self.head += 1
        self._joined = None  # for the memory: whoever asks next has another place
        return new

    def _evict(self) -> None:
        while self._entries and (
            len(self._entries) > self._capacity_rows or self._bytes > self._capacity_bytes
        ):
            self.views.evict(self._entries[0], self.oldest)
            gone = self._entries.popleft()
            self._bytes -= gone.size_bytes
            # A late row below the base position is in the log's cursor, so it is in its `base`,
            # whose docstring says why that is right.
            self.base_position = max(self.base_position, gone.row_id)

    def _begin(self, base_position: int) -> None:
        self._entries.clear()
        self.views.clear()
        self._bytes = 0
        self._joined = None
        self.generation += 1
        self.base_position = base_position

    # -- by view ----------------------------------------------------------------------------

    def open(self, view: View) -> OpenView:
        """For one more stream, which closes it: `views.close()`. Raises ValueError for a column
        that is no filter."""
        return self.views.open(view, self.oldest, self._entries)

    def rows(self, opened: OpenView, seq: int, limit: int) -> list[Placed[F]]:
        """At most `limit` rows of a view, from `seq` on."""
        return [*self._placed(self.views.seqs(opened, seq)[:limit])]

    def take(self, seq: int, max_bytes: int, opened: OpenView | None = None) -> Batch | None:
        """What there is of a view from `seq` on, by default of all rows; None if there is nothing.

        At least one frame, otherwise at most `max_bytes`. Joined once for all streams that lack the
        same, which is nearly every one of them.
        """
        opened = opened or self.views.everything
        seqs = self.views.seqs(opened, seq)
        if not seqs:
            return None
        question = opened, seqs[0], max_bytes
        if self._joined is None or self._joined[:3] != question:
            self._joined = *question, self.batch(opened, self._placed(seqs), seqs[0], max_bytes)
        return self._joined[3]

    def batch(
        self, opened: OpenView, rows: Iterable[Placed[F]], first: int, max_bytes: int
    ) -> Batch:
        """These rows of a view, the first of which is at `first`, as many as make `max_bytes`.
        There must be no others between them."""
        since = self.views.since(opened, first)
        return joined(opened.view, self.generation, since, rows, max_bytes)
