"""What one stream's client is sent next, of a feed by window.

It is placed first, by what it says that it holds:

1. Its token is in the ring: it goes on there, and gets just the changes that it missed.
2. Otherwise it waits for a look that begins after it came, since this worker may be behind the one
   that the client comes from, and would send old rows back. Then 1 again; and if what it holds is a
   run of rows in the picture, it gets what has changed around that run. This is what comes back
   after a restart: with nothing changed, it is sent nothing.
3. Otherwise, or without a token: `clear`, and all rows, the newest first.

In 2 and 3 it follows a course to the window of one picture, then the ring from there: it is live.
A client too slow for the ring is placed again, by what it was sent; it comes from this very worker,
so it need not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field

from gevent.event import Event

from poller.delivery.entry import Batch
from poller.delivery.standing import Standing
from poller.delivery.view_index import OpenView
from poller.runtime import metrics
from poller.window.course import CHUNK_BYTES, Course
from poller.window.log import WindowLog
from poller.window.token import EMPTY, Token, parse
from poller.wire import event_id, notices, sse


@dataclass(slots=True, eq=False)
class WindowSubscriber:
    """One open stream, a `delivery.protocol.Reader`.

    `last_event_id` is what the client sent, None if nothing; `opened` the view, by default all
    columns. One that `began` in another process comes with what it holds, and nothing is said of
    that. `only_news`: it holds nothing and wants nothing of what is there now, as a function of the
    application does. `key` names the columns of the key. `rows` counts what was sent.
    """

    _feed: str
    _log: WindowLog
    last_event_id: InitVar[str | None]
    _signal: Event
    _why_waiting: Callable[[], str]
    opened: InitVar[OpenView | None] = None
    began: Standing | None = None
    only_news: bool = False
    rows: int = 0
    stopped: bool = False
    view: OpenView = field(init=False)
    _asked: str | None = field(init=False)
    _held: Token | None = None  # what the client holds, once that is known
    _seq: int | None = None  # where it is live
    _generation: int = 0
    _look: int = field(init=False)  # the first that begins after it came
    _course: Course | None = None
    _at: int = 0  # in the course
    _said_start: bool = False
    _said_live: bool = False
    _said_waiting: str = ""

    def __post_init__(self, last_event_id: str | None, opened: OpenView | None) -> None:
        self._asked = last_event_id
        self.view = opened or self._log.views.everything
        if (began := self.began) is not None:
            self._asked = f"{event_id.prefix(began.epoch, self.view.view.tag)}.{began.holds}"
            self._said_start, self._said_live = True, began.said_live
        self._look = self._log.looks_begun + 1

    @property
    def is_live(self) -> bool:
        """Whether the next chunk, if there is one, are the ring's own bytes."""
        log = self._log
        return (
            self._seq is not None and self._generation == log.generation and self._seq >= log.oldest
        )

    def standing(self, frame_id: str | None = None) -> Standing | None:
        """See `delivery/standing.py`."""
        if not self._generation or not self._said_start:
            return self.began or Standing("", self._asked)
        if self._generation != self._log.generation or self._held is None:
            return None
        holds = frame_id and frame_id.split(".", frame_id.count(".") - 1)[-1]
        return Standing(self._log.epoch, holds or str(self._held), self._said_live)

    # -- what to send -----------------------------------------------------------------------

    def chunk_at_once(self) -> bytes | None:
        """As `next_chunk()`: nothing here waits for the database or gives others a turn."""
        return self.next_chunk()

    def next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now."""
        log = self._log
        while log.ready and not self.stopped:
            if self._generation != log.generation:
                self._begin()
            if self._course is not None and not self._course.void:
                if chunk := self._follow(self._course):
                    return chunk
            elif self.is_live:
                return self._take()
            elif not self._place():
                return b""
            else:
                self._look = 0  # whatever it holds from now on, this very worker has seen
        return self._waiting()

    def _waiting(self) -> bytes:
        """Why there is nothing yet; again when the reason is another one."""
        reason = self._why_waiting()
        if self._log.ready or self.stopped or reason == self._said_waiting:
            return b""
        self._said_waiting = reason
        return notices.waiting(reason)

    # -- placing ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """In the ring as it is now. Who was here before comes from this very worker."""
        if self._generation == 0:
            self._held = self._token_asked()
        else:
            self._held = None  # under another epoch: another key, another form
        self._generation = self._log.generation
        self._seq = self._course = None

    def _token_asked(self) -> Token | None:
        try:
            return parse(self._asked, self._prefix) if self._asked else None
        except ValueError:
            return None

    def _place(self) -> bool:
        """Whether the client has a place now; if not, the next look sets the signal."""
        log, held = self._log, self._held
        if log.resting:
            return self._await_look()
        if self.only_news and not self._asked and not self._said_start:
            self._held, self._seq = log.token, log.head
            return True
        if held is not None and (seq := log.locate(held)) is not None:
            self._count("ring" if seq != log.head else "log")
            self._seq = seq
            return True
        # Who holds nothing can get no old rows back.
        if held is not None and held.rows and log.looked < self._look:
            return self._await_look()
        self._course, self._at = log.course(self.view, held), 0
        self._count("table" if self._course.clears else "ring")
        self._seq = None
        return True

    def _await_look(self) -> bool:
        self._log.await_look(self._signal)
        return False

    def _count(self, kind: str) -> None:
        if self._asked and not self._said_start:
            metrics.resumes.labels(self._feed, kind).inc()

    # -- sending ----------------------------------------------------------------------------

    def _follow(self, course: Course) -> bytes:
        """The next frames of a course; at its end the client is live."""
        start = self._start(course.token, resumed=not course.clears)
        chunk, at, token = course.chunk(self._at)
        if not chunk:
            self._course, self._seq = None, course.seq
            return start
        self.rows += at - self._at
        self._at, self._held = at, token
        return start + chunk

    def _take(self) -> bytes:
        batch = self._log.take(self._seq or 0, CHUNK_BYTES, self.view)
        held = self._held or EMPTY
        start = self._start(held, resumed=bool(self._asked))
        if batch is None:
            return start + self._live_event(held)
        return start + (batch.chunk if self.advance(batch) else b"")

    def _start(self, token: Token, *, resumed: bool) -> bytes:
        """The first event. Before a `clear` it has no id: dropped in between, the client is to be
        placed as it was."""
        if self._said_start:
            return b""
        self._said_start = True
        lines = notices.start(self._feed, resumed=resumed, key=self._log.key)
        cleared = self._course is not None and self._course.clears
        return sse.without_id(lines) if cleared else self._frame(token, lines)

    def _live_event(self, held: Token) -> bytes:
        """Said once, when the client has everything."""
        if self._said_live:
            return b""
        self._said_live = True
        return self._frame(held, notices.LIVE)

    @property
    def _prefix(self) -> str:
        return self.view.prefix(self._log.epoch)

    def _frame(self, token: Token, lines: bytes) -> bytes:
        return sse.under_id(f"{self._prefix}.{token}", lines)

    def advance(self, batch: Batch) -> bool:
        """Count `batch` as sent, if it is what a live client lacks. Runs for every delivery."""
        seq = self._seq
        if seq is None or self._generation != batch.generation:
            return False
        if not batch.since <= seq <= batch.seq:
            return False
        self.rows += batch.rows
        self._seq, self._held = batch.next_seq, batch.held
        return True

    def position(self) -> bytes:
        """Nothing: the id of its last frame says what it holds."""
        return b""
