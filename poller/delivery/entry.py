"""What the event log is made of: rows as frames, with what a client has that was sent them.

An entry keeps no set of its own: there may be 50,000 gaps in each. The rows of a batch share the
two sets between which they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol, TypeVar

from poller.delivery.view import View
from poller.ids.named import Change, Named
from poller.wire.exact import Exact

ENTRY_OVERHEAD_BYTES = 300  # an Entry with its mark and bytes object, as CPython 3.11 keeps them
KEY_OVERHEAD_BYTES = 200  # a text, and its place in the index of `ChangesLog`
GAP_BYTES = 8  # a pointer in a tuple; the range itself is shared with the sets before


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: its id, what its batch of so many rows did to the worker's set, the mark of the set
    with it, and its frame.

    `id_at` is where the frame's `id:` line begins, so that a client whose own set differs can be
    sent the same event under its own id. `values` tell which views it is in: see `view_index.py`.
    """

    row_id: int
    change: Change
    rows: int
    mark: int
    frame: bytes
    id_at: int
    values: tuple[Exact, ...] = ()

    @property
    def lines(self) -> bytes:
        """The event without its id."""
        return self.frame[: self.id_at]

    @property
    def held(self) -> Named:
        """What a client has that was sent everything up to here: put together at each call."""
        return self.change.at(self.row_id, self.mark)

    @property
    def position(self) -> int:
        """The greatest id of that."""
        return self.change.position_at(self.row_id)

    @property
    def size_bytes(self) -> int:
        """With the row's share in the set that its batch left."""
        after = self.change.after
        shared = GAP_BYTES * (len(after.cursor.holes) + len(after.gaps))
        return len(self.frame) + ENTRY_OVERHEAD_BYTES + shared // self.rows


@dataclass(frozen=True, slots=True)
class KeyedEntry(Entry):
    """One state of a row, of which others may follow; `key` is the row's own, as JSON. One that was
    replaced by a later one has no frame any more."""

    key: str = ""

    @classmethod
    def of(cls, entry: Entry, key: str) -> KeyedEntry:
        return cls(**{one.name: getattr(entry, one.name) for one in fields(entry)}, key=key)

    @property
    def size_bytes(self) -> int:
        return super(KeyedEntry, self).size_bytes + KEY_OVERHEAD_BYTES + len(self.key)


class Framed(Protocol):
    """What a ring holds, whatever a client has that was sent it (`held`)."""

    @property
    def row_id(self) -> int: ...
    @property
    def frame(self) -> bytes: ...
    @property
    def id_at(self) -> int: ...
    @property
    def values(self) -> tuple[Exact, ...]: ...
    @property
    def held(self) -> Any: ...
    @property
    def size_bytes(self) -> int: ...


F = TypeVar("F", bound=Framed)
Placed = tuple[int, F]  # with its seq


class Batch(NamedTuple):
    """Frames joined: what all streams of a view are sent that stand between `since` and `seq`, in
    which there is no row of it; and where they stand and what they hold then."""

    generation: int
    since: int
    seq: int
    chunk: bytes
    next_seq: int
    held: Any
    rows: int


def joined(
    view: View, generation: int, since: int, placed: Iterable[Placed[F]], max_bytes: int
) -> Batch:
    """The first of these rows, as many as make `max_bytes`, at least one. They are rows of the view
    and all that there are from `since` on."""
    parts: list[bytes] = []
    taken: list[Placed[F]] = []
    size = 0
    for one in placed:
        frame = view.frame(one[1].frame, one[1].id_at)
        before, size = size, size + len(frame)
        if before and size > max_bytes:
            break
        parts.append(frame)
        taken.append(one)
    first, (last, entry) = taken[0][0], taken[-1]
    return Batch(
        generation, since, first, b"".join(parts), last + 1, entry.held, sum(map(bool, parts))
    )
