"""Delivery: what one stream's client is sent next.

A `Subscriber` is a position in the log and the set of rows its client holds, in one of two states:

- live: the client holds exactly what the worker's cursor held at `seq`, as far as it is in its
  view. It gets the log's bytes, joined once for everybody in the view, under the worker's own ids.
- catching up: it holds some other set, and gets what it lacks, from the table in pages, then from
  the ring, under ids made of that set. One that is ahead of a lagging worker waits here.

So a stream dropped after any byte resumes exactly: the last id the client took names the set of
rows it was sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import InitVar, dataclass, field

import gevent
from gevent.event import Event

from poller.delivery.backfill import Backfill
from poller.delivery.entry import Batch
from poller.delivery.event_log import EventLog
from poller.delivery.place import Place
from poller.delivery.queries import Unwanted
from poller.delivery.replay import CHUNK_BYTES
from poller.delivery.resuming import Resuming
from poller.delivery.standing import Standing, standing_of
from poller.delivery.view_index import OpenView
from poller.ids.ranges import Range
from poller.runtime import metrics
from poller.runtime.hub import yield_now
from poller.wire import notices, sse

BACKFILL_RETRY_S = (0.5, 2.0)  # the database is away: when to ask again
DOUBTS = 1000  # ranges of ids that may still appear, for one client, below the log's floor


@dataclass(slots=True, eq=False)
class Subscriber:
    """One open stream. Its writer takes `next_chunk()` until that is empty, and again whenever the
    log sets `signal`.

    `last_event_id` is what the client sent, None for "from now". `why_waiting()` says why the feed
    is not ready. `pause(seconds)` waits while the database is away. `turn` is held for each step of
    a catch-up: see `access/turns.py`. `replay` bounds how far back it may ask: see `bound.py`.
    `opened` is the view, by default all rows. One that `began` in another process goes on from
    there, and says nothing of it. `rows` counts what was sent. It does nothing once `stopped`.
    """

    _feed: str
    event_log: InitVar[EventLog]
    _backfill: Backfill
    last_event_id: InitVar[str | None]
    signal: InitVar[Event]
    _why_waiting: Callable[[], str]
    _pause: Callable[[float], object] = gevent.sleep
    _turn: Callable[[], AbstractContextManager[None]] = nullcontext
    _replay: InitVar[int | None] = None
    opened: InitVar[OpenView | None] = None
    began: InitVar[Standing | None] = None
    rows: int = 0
    stopped: bool = False
    _place: Place = field(init=False)
    _resuming: Resuming | None = None  # until the client is placed
    _caught_up: bool = False  # at the last step
    _said_start: bool = False  # in another process
    _said_live: bool = False
    _said_waiting: str = ""

    def __post_init__(
        self,
        log: EventLog,
        last_id: str | None,
        signal: Event,
        replay: int | None,
        opened: OpenView | None,
        began: Standing | None,
    ) -> None:
        self._place = Place(log, opened or log.views.everything)
        self._resuming = Resuming(log, last_id, signal, replay, self.view.view, began)
        if began:
            self._said_start, self._said_live = True, began.said_live

    @property
    def _log(self) -> EventLog:
        return self._place.log

    @property
    def view(self) -> OpenView:
        return self._place.opened

    @property
    def is_live(self) -> bool:
        """Whether the next chunk, if there is one, are the log's own bytes."""
        return self._place.is_live

    def standing(self, frame_id: str | None = None) -> Standing | None:
        """See `standing.py`."""
        if self._resuming is not None:
            return self._resuming.standing
        return standing_of(self._place, frame_id, said_live=self._said_live)

    # -- what to send -----------------------------------------------------------------------

    def next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now."""
        return self._next(at_once=False) or b""

    def chunk_at_once(self) -> bytes | None:
        """The same, but None where that might ask the table or give others a turn."""
        return self._next(at_once=True)

    def _next(self, *, at_once: bool) -> bytes | None:
        while self._log.ready and not self.stopped:
            if self.is_live:
                return self._take()
            takes_long = self._place.is_here or (self._resuming and self._resuming.takes_long)
            if not takes_long:
                if (chunk := self._place_client()) or self._resuming:
                    return chunk
            elif at_once:
                return None
            elif chunk := self._in_turn():
                return chunk
            elif not self._place.live and (self._resuming or self._caught_up):
                return b""
        return self._waiting()

    def _waiting(self) -> bytes:
        """Why there is nothing yet; again when the reason is another one."""
        reason = self._why_waiting()
        if self._log.ready or self.stopped or reason == self._said_waiting:
            return b""
        self._said_waiting = reason
        return notices.waiting(reason)

    # -- beginning in a history -------------------------------------------------------------

    def _place_client(self) -> bytes:
        """Find where the client stands in the log's present history. One that began in another
        process is not told so: nothing to send, and `_resuming` no more."""
        if self._place.generation:
            return self._reset(self._log.reset_reason)
        if self._resuming is None or (asked := self._resuming.asked()) is None:
            return b""
        if asked.reason:
            return self._reset(asked.reason)
        self._resuming = None
        if asked.resume is None:
            self._place.begin(self._log.held, self._log.head)
            return self._start(resumed=False)
        kind = self._place.resume(asked.resume)
        if not self._said_start:
            metrics.resumes.labels(self._feed, kind).inc()
        return self._start(resumed=True)

    def _start(self, *, resumed: bool) -> bytes:
        lines = notices.start(self._feed, resumed=resumed, key=self._log.key)
        start = b"" if self._said_start else self._place.frame(lines)
        return start + (self._live_event() if self._place.live else b"")

    def _reset(self, reason: str) -> bytes:
        """Tell the client to load the rows again; the stream goes on from now. At its beginning
        `start` has no id: dropped before the reset, the client is to get it again."""
        metrics.resets.labels(self._feed, reason).inc()
        said = self._place.generation or self._said_start
        start = b"" if said else sse.without_id(notices.start(self._feed, resumed=False))
        self._resuming = None
        self._place.begin(self._log.held, self._log.head)
        return start + self._place.frame(notices.reset(reason)) + self._live_event()

    def _take(self) -> bytes:
        batch = self._log.take(self._place.seq, CHUNK_BYTES, self.view)
        if batch is None:
            return self._live_event()
        return batch.chunk if self.advance(batch) else b""

    def position(self) -> bytes:
        """In place of a heartbeat: where it stands, if rows of other views came; else empty."""
        return self._place.frame(notices.POSITION) if self._place.pass_others() else b""

    def _live_event(self) -> bytes:
        """Said once, when the client has everything: a page can then show that it is complete."""
        if self._said_live or not self._place.has_all:
            return b""
        self._said_live = True
        self._place.pass_others()
        return self._place.frame(notices.LIVE)

    def advance(self, batch: Batch) -> bool:
        """Count `batch` as sent, if it is what a live client lacks. Runs for every delivery."""
        place = self._place
        here = place.live and place.generation == batch.generation
        if not (here and batch.since <= place.seq <= batch.seq):
            return False
        self.rows += batch.rows
        place.seq, place.held = batch.next_seq, batch.held
        return True

    # -- catching up ------------------------------------------------------------------------

    def _in_turn(self) -> bytes:
        """What takes time to find out: where a long id stands, and the next rows of a catch-up."""
        with self._turn():
            if self.stopped or not self._log.ready:
                return b""
            chunk = self._catch_up() if self._place.is_here else self._place_client()  # or reset
        if chunk is None:
            self._pause(random.uniform(*BACKFILL_RETRY_S))
            return sse.HEARTBEAT
        if chunk:
            yield_now()  # whoever waits for a turn has it before this one's next
        return chunk

    def _catch_up(self) -> bytes | None:
        """The next rows that the client lacks; None where the table could not be asked."""
        place = self._place
        place.live = self._caught_up = False  # if it was live, it was too slow for the ring
        if missing := place.missing():
            return self._read_page(missing)
        if (replayed := place.take_replay()) is None:
            return b""
        self.rows += replayed.rows
        if not place.has_all:
            return replayed.chunk
        place.settle()
        self._caught_up = True
        return replayed.chunk + self._live_event()

    def _read_page(self, missing: Sequence[Range]) -> bytes | None:
        as_of = self._log.as_of  # nothing may yield between `missing()` and here: see backfill.py
        try:
            wanted, view, known = lambda: not self.stopped, self.view.view, self._place.known
            page = self._backfill.page(missing, as_of, wanted, view, known)
        except Unwanted:
            return b""
        except Exception:  # noqa: BLE001 - logged there, once for all who waited
            return None
        if not self._place.is_here:
            return b""  # a reset overtook the query: these may be rows of the new history
        chunk = self._place.take_page(page, as_of)
        if len(self._place.waits_for) > DOUBTS and self._place.is_here:
            return self._reset(notices.NOT_PROVEN)
        self.rows += len(page.rows)
        return chunk
