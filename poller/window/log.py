"""The log of a feed by window: its newest changes as frames, and where clients may go on.

It is the event log's ring, with other entries, and speaks `delivery.protocol.Log` to the streams: a
stream is a position in it (`seq`), there is no queue per client, and it is bounded by changes and
by bytes. A client that is not found in it is sent the way to the window (`course.py`).

Invariants:
- A client that was sent every frame up to a seq holds exactly that seq's token.
- `picture` is what the worker saw last, and its window is what is held at `head`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gevent.event import Event

from poller.delivery.listeners import Listeners
from poller.delivery.ring import Ring
from poller.delivery.view_index import OpenView
from poller.window.course import Course, lines_of
from poller.window.picture import Change, Picture
from poller.window.token import Token
from poller.wire import sse

ENTRY_OVERHEAD_BYTES = 350  # an Entry with its bytes object, token and place, as CPython keeps them
STALE_TOKENS = 1000  # of changes that have left the ring; then they are looked for, and forgotten
# Pictures that slow clients are still being sent. Each holds what the newest no longer has.
COURSES_KEPT = 64


class Entry(NamedTuple):
    """A change as a frame, whose `id:` line begins at `id_at`, and what a client holds after it."""

    frame: bytes
    id_at: int
    held: Token
    row_id: int = 0  # a window knows no ids
    values: tuple[()] = ()  # nor filters

    @property
    def size_bytes(self) -> int:
        return len(self.frame) + ENTRY_OVERHEAD_BYTES


class WindowLog(Ring[Entry], Listeners):
    """All methods are called from the hub's thread and none yields."""

    def __init__(self, capacity_rows: int, capacity_bytes: int) -> None:
        Ring.__init__(self, capacity_rows, capacity_bytes)
        Listeners.__init__(self)
        self.key: tuple[str, ...] = ()  # the columns by which rows are told apart
        self.epoch = ""
        self.picture = Picture()
        self._at: dict[Token, int] = {}  # the newest seq at which it is held
        self._courses: dict[tuple[OpenView, Token | None], Course] = {}
        self._followed: list[weakref.ref[Course]] = []  # of older pictures
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

    def begin(self, epoch: str, key: Sequence[str], look: int, picture: Picture) -> None:
        """The first look, or the first one by another key."""
        self._begin(base_position=0)
        self.epoch, self.key = epoch, tuple(key)
        self._at = {picture.token: self.head}
        self._took(look, picture)
        self.notify()

    def take_look(self, look: int, picture: Picture, changes: Sequence[Change]) -> None:
        """Append what a look found; `changes` lead from the picture before to `picture`."""
        new = self._append(self._entry(change) for change in changes)
        for seq, entry in new:
            self._at[entry.held] = seq + 1
        self._evict()
        if len(self._at) > len(self._entries) + STALE_TOKENS:
            self._at = {token: seq for token, seq in self._at.items() if seq >= self.oldest}
        self._took(look, picture)
        if new:
            self.notify()

    def _entry(self, change: Change) -> Entry:
        lines = lines_of(change)
        return Entry(sse.under_id(f"{self.epoch}.{change.token}", lines), len(lines), change.token)

    def _took(self, look: int, picture: Picture) -> None:
        if picture is not self.picture:
            self.picture = picture
            self._forget_courses()
        self.ready, self.resting, self.looked = True, False, look
        self.notify_of_pass()

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

    # -- the streams' side ------------------------------------------------------------------

    @property
    def token(self) -> Token:
        """What a client that is level holds."""
        return self.picture.token

    def locate(self, token: Token) -> int | None:
        """The newest seq at which a client holds just this; None if it is none of the ring's."""
        seq = self._at.get(token)
        return seq if seq is not None and seq >= self.oldest else None

    def course(self, opened: OpenView, token: Token | None) -> Course:
        """The way to the window from what the client holds, if that is a run of the picture's rows;
        otherwise from nothing."""
        start = None if token is None else self.picture.run(token)
        known = None if start is None else token
        question = opened, known
        if question not in self._courses:
            rows = 0 if known is None else known.rows
            prefix = opened.prefix(self.epoch)
            way = Course(prefix, opened.view, self.picture, self.head, start, rows)
            self._courses[question] = way
        return self._courses[question]

    # -- waking -----------------------------------------------------------------------------

    def await_look(self, listener: Event) -> None:
        """Set `listener` after the next look, whatever it brings."""
        self.await_pass(listener)
        if self.resting:
            self.wanted()

    @property
    def awaited(self) -> bool:
        """Whether a client waits for a look."""
        return bool(self._awaiting_pass)
