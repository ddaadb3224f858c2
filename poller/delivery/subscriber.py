"""Delivery: what one stream's client is sent next.

It knows neither Flask nor SQL nor a socket: `fanout.py` and `response_stream.py` write what they
take from here. A `Subscriber` is a position in the log and the set of rows its client holds;
it is in one of two states:

- live: the client holds exactly what the worker's cursor held at `seq`. It gets the log's bytes,
  joined once for everybody, under the worker's own ids.
- catching up: it holds some other set. What it lacks comes from the table in pages, then from the
  ring, each row under an id made of the client's own set. Once it lacks nothing it is live. A
  client that is ahead of a lagging worker stays here until the worker has caught up.

So a stream dropped after any byte resumes exactly: the last id the client took names the set of
rows it was sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import InitVar, dataclass

import gevent
from gevent.event import Event

from poller.delivery.backfill import Backfill, Unwanted
from poller.delivery.event_log import Batch, EventLog
from poller.delivery.replay import CHUNK_BYTES, replay
from poller.delivery.resuming import Resuming
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range, clip, intersect, subtract
from poller.runtime import metrics
from poller.runtime.hub import yield_now
from poller.wire import event_id, notices, sse

REPLAY_ENTRIES = 256  # entries looked at before others get their turn
BACKFILL_RETRY_S = (0.5, 2.0)  # the database is away: when to ask again
NOTHING = Cursor()
DOUBTS = 1000  # ranges of ids that may still appear, for one client, below the log's floor


@dataclass(slots=True, eq=False)
class Subscriber:
    """One open stream, as a position. Its writer takes `next_chunk()` until that is empty, and
    again whenever the log sets `signal`.

    `last_event_id` is what the client sent, None for "from now". `why_waiting()` says why the feed
    is not ready. `pause(seconds)` waits while the database is away. `turn` is held for each step of
    a catch-up: see `access/turns.py`. `rows` counts what was sent. Once the stream is `stopped`,
    nothing more is done for its client.
    """

    _feed: str
    _log: EventLog
    _backfill: Backfill
    last_event_id: InitVar[str | None]
    signal: InitVar[Event]
    _why_waiting: Callable[[], str]
    _pause: Callable[[float], object] = gevent.sleep
    _turn: Callable[[], AbstractContextManager[None]] = nullcontext
    rows: int = 0
    stopped: bool = False
    _placed_in: int = 0  # the log's generation; 0: not placed yet
    _epoch: str = ""  # that generation's; while a page is read the log's may change
    _resuming: Resuming | None = None  # until the client is placed
    _live: bool = False
    _seq: int = 0
    _held: Cursor = NOTHING  # what the client has: while live, as of `seq`
    _unproven: tuple[Range, ...] = ()  # see `_missing()`
    _waits_for: tuple[Range, ...] = ()  # what of it the table did not show
    _caught_up: bool = False  # at the last step
    _said_live: bool = False
    _said_waiting: str = ""

    def __post_init__(self, last_event_id: str | None, signal: Event) -> None:
        self._resuming = Resuming(self._log, last_event_id, signal)

    @property
    def is_live(self) -> bool:
        """Whether the next chunk, if there is one, are the log's own bytes."""
        here = self._placed_in == self._log.generation
        return here and self._live and self._seq >= self._log.oldest

    # -- what to send -----------------------------------------------------------------------

    def chunk_at_once(self) -> bytes | None:
        """As `next_chunk()`, but None where that might ask the table or give others a turn."""
        if self.is_live:
            return self._take()
        return None if self._log.ready and self._takes_long else self.next_chunk()

    @property
    def _takes_long(self) -> bool:
        catches_up = self._placed_in == self._log.generation
        return catches_up or bool(self._resuming and self._resuming.takes_long)

    def next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now."""
        while self._log.ready and not self.stopped:
            if self.is_live:
                return self._take()
            if not self._takes_long:
                return self._place()
            if chunk := self._in_turn():
                return chunk
            if not self._live and (self._resuming or self._caught_up):
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

    def _place(self) -> bytes:
        """Find where the client stands in the log's present history."""
        if self._placed_in:
            return self._reset(self._log.reset_reason)
        if self._resuming is None or (asked := self._resuming.asked()) is None:
            return b""
        if asked.reason:
            return self._reset(asked.reason)
        if asked.cursor is not None:
            return self._resume(asked.cursor)
        self._begin(self._log.cursor, self._log.head)
        return self._start(resumed=False)

    def _resume(self, cursor: Cursor) -> bytes:
        seq = self._log.locate(cursor)
        self._begin(cursor.named() if seq is None else cursor, seq)
        self._unproven = clip(cursor.holes, high=self._log.floor)
        kind = "log" if self._live else "table" if self._missing() else "ring"
        metrics.resumes.labels(self._feed, kind).inc()
        return self._start(resumed=True)

    def _start(self, *, resumed: bool) -> bytes:
        start = self._frame(notices.start(self._feed, resumed=resumed))
        return start + (self._live_event() if self._live else b"")

    def _reset(self, reason: str) -> bytes:
        """Tell the client to load the rows again; the stream goes on from now.

        At its beginning `start` has no id: dropped before the reset, the client is to get it again.
        """
        metrics.resets.labels(self._feed, reason).inc()
        lines = b"" if self._placed_in else notices.start(self._feed, resumed=False)
        start = lines and sse.without_id(lines)
        self._begin(self._log.cursor, self._log.head)
        return start + self._frame(notices.reset(reason)) + self._live_event()

    def _begin(self, held: Cursor, seq: int | None) -> None:
        """`seq` is where the client is live, None if it is not."""
        self._resuming = None
        self._placed_in, self._epoch = self._log.generation, self._log.epoch
        self._held, self._live, self._unproven, self._waits_for = held, seq is not None, (), ()
        self._seq = self._log.oldest if seq is None else seq

    def _frame(self, lines: bytes) -> bytes:
        return event_id.frame(self._epoch, self._held, lines)

    # -- live -------------------------------------------------------------------------------

    def _take(self) -> bytes:
        batch = self._log.take(self._seq, CHUNK_BYTES)
        if batch is None:
            return self._live_event()
        return batch.chunk if self.advance(batch) else b""

    def _live_event(self) -> bytes:
        """Said once, when the client has everything: a page can then show that it is complete."""
        if self._said_live or self._seq != self._log.head:
            return b""
        self._said_live = True
        return self._frame(notices.LIVE)

    def advance(self, batch: Batch) -> bool:
        """Count `batch` as sent, if it is what a live client lacks. Runs for every delivery."""
        if self._seq != batch.seq or not self._live or self._placed_in != batch.generation:
            return False
        self.rows += batch.next_seq - batch.seq
        self._seq, self._held = batch.next_seq, batch.cursor
        return True

    # -- catching up ------------------------------------------------------------------------

    def _missing(self) -> tuple[Range, ...]:
        """What the client lacks of the rows that have left the ring.

        Ids that the table does not show can never appear, and then count as delivered. Not so below
        the log's floor, where a transaction older than this worker may still bring them: they stay
        open in the client's cursor, and are asked for once more when the floor is gone.
        """
        if not self._log.floor:
            self._unproven = self._waits_for = ()
        return subtract(self._log.base.difference(self._held), self._waits_for)

    def _in_turn(self) -> bytes:
        """What takes time to find out: where a long id stands, and the next rows of a catch-up."""
        with self._turn():
            if self.stopped or not self._log.ready:
                return b""
            placed = self._placed_in == self._log.generation  # a reset may have come meanwhile
            chunk = self._catch_up() if placed else self._place()
        if chunk is None:
            self._pause(random.uniform(*BACKFILL_RETRY_S))
            return sse.HEARTBEAT
        if chunk:
            yield_now()  # whoever waits for a turn has it before this one's next
        return chunk

    def _catch_up(self) -> bytes | None:
        """The next rows that the client lacks; None where the table could not be asked."""
        self._live = self._caught_up = False  # if it was live, it was too slow for the ring
        if missing := self._missing():
            return self._read_page(missing)
        self._seq = max(self._seq, self._log.oldest)
        entries = self._log.entries(self._seq, REPLAY_ENTRIES)
        chunk, self._held, seen, rows = replay(self._epoch, self._held, entries, self._waits_for)
        self._seq += seen
        self.rows += rows
        if self._seq == self._log.head:
            # The client has every row. What else the worker's cursor holds is dead.
            self._held = self._held.union(self._log.cursor).without(self._waits_for)
            self._live, self._caught_up = self._held == self._log.cursor, True
            chunk += self._live_event()
        return chunk

    def _read_page(self, missing: Sequence[Range]) -> bytes | None:
        # Nothing may yield between `_missing()` and here: see backfill.py for what `as_of` says.
        as_of = self._placed_in, self._log.floor
        try:
            page = self._backfill.page(missing, as_of, lambda: not self.stopped)
        except Unwanted:
            return b""
        except Exception:  # noqa: BLE001 - logged there, once for all who waited
            return None
        if self._placed_in != self._log.generation:
            return b""  # a reset overtook the query: these may be rows of the new history
        chunk, self._held = page.framed(self._epoch, self._held, self._unproven)
        self._waits_for = intersect(self._unproven, clip(self._held.holes, high=page.upto))
        if len(self._waits_for) > DOUBTS and self._placed_in == self._log.generation:
            return self._reset(notices.NOT_PROVEN)
        self.rows += len(page.rows)
        return chunk
