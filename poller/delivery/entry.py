"""What the event log is made of: rows as frames, with what a client has that was sent them.

An entry keeps no set of its own: there may be 50,000 gaps in each. The rows of a batch share the
two sets between which they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from poller.ids.named import Change, Named

ENTRY_OVERHEAD_BYTES = 300  # an Entry with its mark and bytes object, as CPython 3.11 keeps them
KEY_OVERHEAD_BYTES = 200  # a text, and its place in the index of `ChangesLog`
GAP_BYTES = 8  # a pointer in a tuple; the range itself is shared with the sets before


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: its id, what its batch of so many rows did to the worker's set, the mark of the set
    with it, and its frame.

    `id_at` is where the frame's `id:` line begins, so that a client whose own set differs can be
    sent the same event under its own id.
    """

    row_id: int
    change: Change
    rows: int
    mark: int
    frame: bytes
    id_at: int

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


class Batch(NamedTuple):
    """Frames joined: what a stream at `seq` is sent, and where it stands and what it holds then."""

    generation: int
    seq: int
    chunk: bytes
    next_seq: int
    held: Named
