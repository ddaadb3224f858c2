"""The event log: a ring of the newest encoded frames, one for all streams of a worker.

It knows no socket, no SQL and no HTTP. A stream is a position in it (`seq`); there is no queue
per client. It is bounded by rows and by bytes; what falls out is read from the table again.

Invariants:
- Every row that this worker delivered is in `base` or in the ring, and in `cursor`.
- `oldest` <= every seq that can be read < `head`; both only grow, except in `begin()`, which
  starts a new generation.
- What an entry holds is the worker's set with that row: a client that was sent every frame up to
  an entry holds exactly that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar, cast

from gevent.event import Event

from poller.delivery.entry import Batch, Entry
from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.wire import epoch as epochs

NO_SALT = epochs.Salt()
NOTHING = Named.of(Cursor())
SHARED_ANSWERS = 16  # each may be a chunk of frames

T = TypeVar("T")


class EventLog:
    """The ring. All methods are called from the hub's thread and none yields."""

    key: tuple[str, ...] = ()  # what tells one row from another, where rows may change

    def __init__(self, capacity_rows: int, capacity_bytes: int) -> None:
        self._capacity_rows = capacity_rows
        self._capacity_bytes = capacity_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._base_position = 0
        self._joined = Batch(0, 0, b"", 0, NOTHING)
        self._shared: dict[Hashable, Any] = {}
        self._listeners: set[Event] = set()
        self.epoch = ""  # in the ids of new frames
        self.names: frozenset[str] = frozenset()  # of the history: see wire/epoch.py
        self._salt = NO_SALT
        self._lowest = 0
        self.generation = 0
        self.reset_reason = ""
        self.held = NOTHING
        self.floor = 0
        self.asked = 0  # so many times clients were to ask again for what is below the floor
        self.head = 0
        self.ready = False
        self.complete_passes = 0
        self.counter = 0
        self._awaiting_pass: set[Event] = set()

    # -- the poller's side ------------------------------------------------------------------

    @property
    def cursor(self) -> Cursor:
        """Everything that this worker has delivered, or knows that it can never appear."""
        return self.held.cursor

    def begin(
        self, name: str, held: Named, reason: str = "", floor: int = 0, lowest: int = 0
    ) -> None:
        """Start a history: empty, not ready, with everything in `held` counted as delivered.

        Of ids up to `floor` nobody knows yet whether those that no row has can still appear. The
        least id that was seen is `lowest`, 0 if there is no row.
        """
        self._entries.clear()
        self._bytes = 0
        self._base_position = held.position
        self._shared.clear()
        self.held, self.reset_reason, self._lowest = held, reason, lowest
        self.epoch, self.names = self._salt.epoch(name), frozenset([name])
        self.floor = floor
        self.generation += 1
        self.counter = held.position
        self.ready = False

    def rename(self, name: str, salt: epochs.Salt = NO_SALT) -> None:
        """The same history under a new name, if it is one; ids under the old ones stay valid.
        `salt` is the worker's from now on."""
        self._salt, self.epoch = salt, salt.epoch(name)
        if name not in self.names:
            self.names |= {name}

    def extend(self, entries: Iterable[Entry], held: Named, floor: int = 0) -> None:
        """Append a batch; `held` is the worker's set after it, dead gaps retired."""
        before = self.head, self.floor
        for entry in entries:
            self._entries.append(entry)
            self._bytes += entry.size_bytes
            self.head += 1
        self._shared.clear()  # for the memory: whoever asks next has another place
        self.held, self.floor = held, floor
        self._evict()
        if (self.head, self.floor) != before:
            self.notify()

    def ask_below_floor(self) -> None:
        """Let clients ask the table again for the ids below the floor that it did not show."""
        self.asked += 1
        self.notify()

    @property
    def as_of(self) -> tuple[int, ...]:
        """What must be the same for two who share an answer of the table: see `backfill.py`."""
        return self.generation, self.floor, self.asked if self.floor else 0

    def passed(self, counter: int | None) -> None:
        """A pass ended that its limit did not cut off: all that it could see is in the log.

        From the first one on streams may begin "from now"; before it, history would go out as
        news. `counter` is the greatest id ever given out, if the database tells.
        """
        self.complete_passes += 1
        self.counter = max(counter or 0, self.cursor.position)
        if not self.ready:
            self.ready = True
            self.notify()
        while self._awaiting_pass:
            self._awaiting_pass.pop().set()

    def _evict(self) -> None:
        while self._entries and (
            len(self._entries) > self._capacity_rows or self._bytes > self._capacity_bytes
        ):
            gone = self._entries.popleft()
            self._bytes -= gone.size_bytes
            # A late row below the base position is in `cursor`, so it is in `base`; its docstring
            # says why.
            self._base_position = max(self._base_position, gone.row_id)

    # -- the streams' side ------------------------------------------------------------------

    @property
    def oldest(self) -> int:
        """The seq of the oldest entry; equal to `head` if the ring is empty."""
        return self.head - len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes held, overhead included."""
        return self._bytes

    @property
    def base(self) -> Cursor:
        """At least every row delivered before the oldest entry.

        It may hold a late row that is still in the ring. Nobody loses it or gets it twice by that:
        a client that lacks it reads it from the table, and the replay leaves out what it has.
        """
        return self.cursor.upto(self._base_position)

    def locate(self, position: int, mark: int) -> tuple[int, Named] | None:
        """Where a client with exactly this set goes on, and the set; None if it is none of ours.

        Its mark decides. What its token names does not: two sets may be merged to the same.
        """
        if mark == self.held.mark:
            return self.head, self.held
        after = bisect_right(self._entries, position, key=_position)
        while after and (entry := self._entries[after - 1]).position == position:
            if entry.mark == mark:
                return self.oldest + after, entry.held
            after -= 1  # a late row leaves the position as it is
        return None

    def shared(self, question: Hashable, answer: Callable[[], T]) -> T:
        """What `answer()` gives, once for all streams that ask the same: of hundreds that come back
        at once most hold the same. The question says all that its answer is made of.
        """
        if question not in self._shared:
            found = answer()
            while len(self._shared) >= SHARED_ANSWERS:
                del self._shared[next(iter(self._shared))]
            self._shared[question] = found
        return cast("T", self._shared[question])

    def knows(self, epoch: str, position: int) -> bool:
        """Whether ids of this epoch, up to this position, are of the present history."""
        return epochs.is_valid(epoch, position, self.names, self._salt, self._lowest)

    def entries(self, seq: int, limit: int) -> list[Entry]:
        """At most `limit` entries from `seq`, which must not be below `oldest`."""
        start = seq - self.oldest
        return [self._entries[i] for i in range(start, min(start + limit, len(self._entries)))]

    def newest_ids(self, limit: int) -> list[int]:
        """The greatest ids that were brought last, at most `limit`, lowest first. A row that was
        late, and whose id is far below, is not among them."""
        since = max(self.oldest, self.head - 2 * limit)
        return sorted(one.row_id for one in self.entries(since, 2 * limit))[-limit:]

    def take(self, seq: int, max_bytes: int) -> Batch | None:
        """What is there from `seq` on, which must not be below `oldest`; None at the head.

        At least one frame, otherwise at most `max_bytes`. Joined once for all streams that stand
        at the same place, which is nearly every one of them.
        """
        if seq == self.head:
            return None
        if (self._joined.seq, self._joined.next_seq) == (seq, self.head):
            return self._joined
        parts: list[bytes] = []
        size = 0
        for entry in self.entries(seq, self.head - seq):
            before, size = size, size + len(entry.frame)
            if before and size > max_bytes:
                break
            parts.append(entry.frame)
        next_seq = seq + len(parts)
        held = self._entries[next_seq - 1 - self.oldest].held
        batch = Batch(self.generation, seq, b"".join(parts), next_seq, held)
        if next_seq == self.head:
            self._joined = batch
        return batch

    # -- waking -----------------------------------------------------------------------------

    def attach(self, listener: Event) -> None:
        """`listener` is set whenever there may be something new."""
        self._listeners.add(listener)

    def detach(self, listener: Event) -> None:
        self._listeners.discard(listener)
        self._awaiting_pass.discard(listener)

    def await_pass(self, listener: Event) -> None:
        """Set `listener` after the next complete pass, whatever it brings."""
        self._awaiting_pass.add(listener)

    def notify(self) -> None:
        for listener in self._listeners:
            listener.set()


def _position(entry: Entry) -> int:
    return entry.position
