"""The event log: a ring of the newest encoded frames, one for all streams of a worker, and what is
known of the history that they are of.

It knows no socket, no SQL and no HTTP. A stream is a position in it (`seq`); there is no queue
per client. It is bounded by rows and by bytes; what falls out is read from the table again.

Invariants:
- Every row that this worker delivered is in `base` or in the ring, and in `cursor`.
- What an entry holds is the worker's set with that row: a client that was sent every frame up to
  an entry holds exactly that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar, cast

from poller.delivery.entry import Entry
from poller.delivery.listeners import Listeners
from poller.delivery.ring import Ring
from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.wire import epoch as epochs

NO_SALT = epochs.Salt()
NOTHING = Named.of(Cursor())
SHARED_ANSWERS = 16  # each may be a chunk of frames

T = TypeVar("T")


class EventLog(Ring[Entry], Listeners):
    """The ring of one history. All methods are called from the hub's thread and none yields."""

    key: tuple[str, ...] = ()  # what tells one row from another, where rows may change

    def __init__(
        self, capacity_rows: int, capacity_bytes: int, filters: Sequence[str] = ()
    ) -> None:
        Ring.__init__(self, capacity_rows, capacity_bytes, filters)
        Listeners.__init__(self)
        self._shared: dict[Hashable, Any] = {}
        self.epoch = ""  # in the ids of new frames
        self.names: frozenset[str] = frozenset()  # of the history: see wire/epoch.py
        self._salt = NO_SALT
        self._lowest = 0
        self.reset_reason = ""
        self.held = NOTHING
        self._tip: Entry | Named = NOTHING
        self.floor = 0
        self.asked = 0  # so many times clients were to ask again for what is below the floor
        self.ready = False
        self.complete_passes = 0
        self.counter = 0

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
        self._begin(held.position)
        self._shared.clear()
        self.held, self._tip, self.reset_reason, self._lowest = held, held, reason, lowest
        self.epoch, self.names = self._salt.epoch(name), frozenset([name])
        self.floor = floor
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
        floor_before, new = self.floor, self._append(entries)
        if new:
            self._tip = new[-1][1]
        self._shared.clear()  # for the memory: whoever asks next has another place
        self.held, self.floor = held, floor
        self._evict()
        if floor != floor_before:
            self.notify()
        elif new:
            self.notify_of(self.views.touched(new) if self.listened_to else ())

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
        self.notify_of_pass()

    # -- the streams' side ------------------------------------------------------------------

    @property
    def base(self) -> Cursor:
        """At least every row delivered before the oldest entry.

        It may hold a late row that is still in the ring. Nobody loses it or gets it twice by that:
        a client that lacks it reads it from the table, and the replay leaves out what it has.
        """
        return self.cursor.upto(self.base_position)

    @property
    def tip(self) -> Named:
        """What a client has that was sent everything, and that was told so by an id of an entry: so
        each worker knows the place of that id. It may lack what is known to be dead since."""
        if isinstance(self._tip, Entry):
            self._tip = self._tip.held
        return self._tip

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


def _position(entry: Entry) -> int:
    return entry.position
