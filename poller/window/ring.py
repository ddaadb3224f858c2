"""The log of a feed by window: its newest changes as frames, and where clients may go on.

It is what the event log is for a feed by inserts, and speaks its protocol to the streams: a stream
is a position in it (`seq`), there is no queue per client, and it is bounded by changes and by
bytes. A client that is not found in it is sent the way to the window (`course.py`).

Invariants:
- A client that was sent every frame up to a seq holds exactly that seq's token.
- `picture` is what the worker saw last, and its window is what is held at `head`.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gevent.event import Event

from poller.window.course import Course, lines_of
from poller.window.picture import Change, Picture
from poller.window.token import EMPTY, Token
from poller.wire import sse

ENTRY_OVERHEAD_BYTES = 350  # an Entry with its bytes object, token and place, as CPython keeps them
# Pictures that slow clients are still being sent. Each holds what the newest no longer has.
COURSES_KEPT = 64


class Entry(NamedTuple):
    """A change as a frame, and what a client holds after it."""

    frame: bytes
    token: Token

    @property
    def size_bytes(self) -> int:
        return len(self.frame) + ENTRY_OVERHEAD_BYTES


class Batch(NamedTuple):
    """Frames joined: what a stream at `seq` is sent, and where it stands and what it holds then."""

    generation: int
    seq: int
    chunk: bytes
    next_seq: int
    held: Token


class Ring:
    """All methods are called from the hub's thread and none yields."""

    def __init__(self, capacity_rows: int, capacity_bytes: int) -> None:
        self._capacity_rows = capacity_rows
        self._capacity_bytes = capacity_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._base = EMPTY  # what is held at the oldest entry
        self._at: dict[Token, int] = {EMPTY: 0}
        self._joined = Batch(0, 0, b"", 0, EMPTY)
        self._courses: dict[Token | None, Course] = {}
        self._followed: list[weakref.ref[Course]] = []  # of older pictures
        self._listeners: set[Event] = set()
        self._awaiting_look: set[Event] = set()
        self.epoch = ""
        self.key: Sequence[str] = ()  # the columns by which rows are told apart
        self.generation = 0
        self.picture = Picture()
        self.head = 0
        self.looks_begun = 0
        self.looked = 0  # the number of the last look that succeeded
        self.ready = False
        self.resting = False  # nobody listens, so the picture may be old
        self.wanted: Callable[[], object] = lambda: None  # called when it rests and is wanted

    # -- the looker's side ------------------------------------------------------------------

    def look_begins(self) -> int:
        """A look begins; its number. What it sees is at least as new as this moment."""
        self.looks_begun += 1
        return self.looks_begun

    def begin(self, epoch: str, look: int, picture: Picture) -> None:
        """The first look, or the first one at what is another query now."""
        self._entries.clear()
        self._bytes = 0
        self.epoch, self._base = epoch, picture.token
        self._at = {self._base: self.head}
        self.generation += 1
        self._took(look, picture, news=True)

    def take_look(self, look: int, picture: Picture, changes: Sequence[Change]) -> None:
        """Append what a look found; `changes` lead from the picture before to `picture`."""
        for change in changes:
            frame = sse.under_id(f"{self.epoch}.{change.token}", lines_of(change))
            entry = Entry(frame, change.token)
            self._entries.append(entry)
            self._bytes += entry.size_bytes
            self.head += 1
            self._at[change.token] = self.head
        self._evict()
        self._took(look, picture, news=bool(changes))

    def _took(self, look: int, picture: Picture, *, news: bool) -> None:
        if picture is not self.picture:
            self.picture = picture
            self._forget_courses()
        self.ready, self.resting, self.looked = True, False, look
        if news:
            self.notify()
        while self._awaiting_look:
            self._awaiting_look.pop().set()

    def _forget_courses(self) -> None:
        for course in self._courses.values():
            course.retire()
            self._followed.append(weakref.ref(course))
        self._courses.clear()
        followed = [one for one in self._followed if one() is not None]
        for oldest in followed[:-COURSES_KEPT]:
            if (follows := oldest()) is not None:
                follows.void = True
        self._followed = followed[-COURSES_KEPT:]

    def _evict(self) -> None:
        while self._entries and (
            len(self._entries) > self._capacity_rows or self._bytes > self._capacity_bytes
        ):
            if self._at[self._base] == self.oldest:  # not held again later
                del self._at[self._base]
            gone = self._entries.popleft()
            self._bytes -= gone.size_bytes
            self._base = gone.token

    # -- the streams' side ------------------------------------------------------------------

    @property
    def oldest(self) -> int:
        """The seq of the oldest entry; equal to `head` if there is none."""
        return self.head - len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes held, overhead included."""
        return self._bytes

    @property
    def token(self) -> Token:
        """What a client that is level holds."""
        return self._entries[-1].token if self._entries else self._base

    def locate(self, token: Token) -> int | None:
        """The newest seq at which a client holds just this; None if it is none of the ring's."""
        return self._at.get(token)

    def course(self, token: Token | None) -> Course:
        """The way to the window from what the client holds, if that is a run of the picture's rows;
        otherwise from nothing."""
        start = None if token is None else self.picture.run(token)
        known = None if token is None or start is None else token
        if known not in self._courses:
            rows = 0 if known is None else known.rows
            self._courses[known] = Course(self.epoch, self.picture, self.head, start, rows)
        return self._courses[known]

    def take(self, seq: int, max_bytes: int) -> Batch | None:
        """What is there from `seq` on, which must not be below `oldest`; None at the head.

        At least one frame, otherwise at most `max_bytes`. Joined once for all streams that stand
        at the same place.
        """
        if seq == self.head:
            return None
        if self._joined[:2] == (self.generation, seq) and self._joined.next_seq == self.head:
            return self._joined
        frames: list[bytes] = []
        size, token = 0, EMPTY
        for at in range(seq - self.oldest, len(self._entries)):
            entry = self._entries[at]
            size += len(entry.frame)
            if frames and size > max_bytes:
                break
            frames.append(entry.frame)
            token = entry.token
        batch = Batch(self.generation, seq, b"".join(frames), seq + len(frames), token)
        if batch.next_seq == self.head:
            self._joined = batch
        return batch

    # -- waking -----------------------------------------------------------------------------

    def attach(self, listener: Event) -> None:
        """`listener` is set whenever there may be something new."""
        self._listeners.add(listener)

    def detach(self, listener: Event) -> None:
        self._listeners.discard(listener)
        self._awaiting_look.discard(listener)

    def await_look(self, listener: Event) -> None:
        """Set `listener` after the next look, whatever it brings."""
        self._awaiting_look.add(listener)
        if self.resting:
            self.wanted()

    @property
    def awaited(self) -> bool:
        """Whether a client waits for a look."""
        return bool(self._awaiting_look)

    def notify(self) -> None:
        for listener in self._listeners:
            listener.set()
