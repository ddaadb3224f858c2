"""Delivery: what one stream's client is sent next.

It knows neither Flask nor SQL nor a socket: `fanout.py` and `response_stream.py` write what they
take from here. A `Subscriber` is a position in the log and the set of rows its client holds;
it is in one of two states:

- live: the client holds exactly what the worker's cursor held at `seq`. It gets the log's bytes,
  joined once for everybody, under the worker's own ids.
- catching up: it holds some other set. What it lacks comes from the table in pages, then from the
  ring, each row under an id made of the client's own set. Once it lacks nothing it is live. A
  client that is ahead of a lagging worker stays here, and gets only what it has not, until the
  worker has caught up.

So a stream dropped after any byte resumes exactly: the last id the client took names the set of
rows it was sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent
from gevent.event import Event

from poller.delivery.backfill import Backfill
from poller.delivery.event_log import Batch, EventLog
from poller.delivery.resuming import asked
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range, clip, intersect, subtract
from poller.runtime import metrics
from poller.runtime.hub import yield_now
from poller.wire import event_id, notices, sse

CHUNK_BYTES = 64 * 1024  # of the ring, written at once: what a slow client can hold back in memory
REPLAY_ENTRIES = 256  # entries looked at before others get their turn
BACKFILL_RETRY_S = (0.5, 2.0)  # the database is away: when to ask again
NOTHING = Cursor()
DOUBTS = 1000  # ranges of ids that may still appear, for one client, below the log's floor


@dataclass(slots=True, eq=False)
class Subscriber:
    """One open stream, as a position. Its writer takes `next_chunk()` until that is empty, and
    again whenever the log sets `signal`.

    `last_event_id` is what the client sent, None for "from now". `why_waiting()` says why the feed
    is not ready. `pause(seconds)` waits while the database is away. `rows` counts what was sent.
    """

    _feed: str
    _log: EventLog
    _backfill: Backfill
    _last_event_id: str | None
    _signal: Event
    _why_waiting: Callable[[], str]
    _pause: Callable[[float], object] = gevent.sleep
    rows: int = 0
    _placed_in: int = 0  # the log's generation; 0: not placed yet
    _epoch: str = ""  # that generation's; while a page is read the log's may change
    _asked_at: int | None = None
    _live: bool = False
    _seq: int = 0
    _held: Cursor = NOTHING  # what the client has: while live, as of `seq`
    _unproven: tuple[Range, ...] = ()  # see `_missing()`
    _waits_for: tuple[Range, ...] = ()  # what of it the table did not show
    _said_live: bool = False
    _said_waiting: str = ""

    @property
    def is_live(self) -> bool:
        """Whether the next chunk, if there is one, are the log's own bytes."""
        event_log = self._log
        return (
            self._live and self._placed_in == event_log.generation and self._seq >= event_log.oldest
        )

    # -- what to send -----------------------------------------------------------------------

    def chunk_at_once(self) -> bytes | None:
        """As `next_chunk()`, but None where that might ask the table or give others a turn."""
        if self.is_live:
            return self._take()
        if self._log.ready and self._placed_in == self._log.generation:
            return None
        return self.next_chunk()

    def next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now."""
        while self._log.ready:
            if self.is_live:
                return self._take()
            if self._placed_in != self._log.generation:
                return self._place()
            self._live = False  # where it was, it was too slow for the ring
            if chunk := self._catch_up():
                return chunk
            if not self._live and self._seq == self._log.head:
                return b""
        return self._waiting()

    def _waiting(self) -> bytes:
        """Why there is nothing yet; again when the reason is another one."""
        reason = self._why_waiting()
        if self._log.ready or reason == self._said_waiting:
            return b""
        self._said_waiting = reason
        return notices.waiting(reason)

    # -- beginning in a history -------------------------------------------------------------

    def _place(self) -> bytes:
        """Find where the client stands in the log's present history."""
        if self._placed_in:
            return self._reset(self._log.reset_reason)
        cursor, reason, unsure = asked(self._log, self._last_event_id)
        if unsure and not self._table_was_read_since():
            self._log.await_pass(self._signal)
            return b""
        if reason:
            return self._reset(reason)
        return self._from_now() if cursor is None else self._resume(cursor)

    def _table_was_read_since(self) -> bool:
        """Whether a pass has ended that began after the client was first found to be ahead."""
        if self._asked_at is None:
            self._asked_at = self._log.complete_passes
        return self._log.complete_passes >= self._asked_at + 2  # the first may be under way already

    def _from_now(self) -> bytes:
        self._begin(self._log.cursor, self._log.head)
        return self._frame(notices.start(self._feed, resumed=False)) + self._live_event()

    def _resume(self, cursor: Cursor) -> bytes:
        """Dropped before the first row, the client comes back to the same place."""
        self._begin(cursor, self._log.locate(cursor))
        self._unproven = clip(cursor.holes, high=self._log.floor)
        kind = "log" if self._live else "table" if self._missing() else "ring"
        metrics.resumes.labels(self._feed, kind).inc()
        return self._frame(notices.start(self._feed, resumed=True)) + self._live_event()

    def _reset(self, reason: str) -> bytes:
        """Tell the client to load the rows again; the stream goes on from now.

        At its beginning `start` has no id: dropped before the reset, the client is to get it again.
        """
        metrics.resets.labels(self._feed, reason).inc()
        start = b""
        if not self._placed_in:
            start = sse.without_id(notices.start(self._feed, resumed=False))
        self._begin(self._log.cursor, self._log.head)
        return start + self._frame(notices.reset(reason)) + self._live_event()

    def _begin(self, held: Cursor, seq: int | None) -> None:
        """`seq` is where the client is live, None where it is not."""
        self._last_event_id = None
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
        if self._said_live or not self._live or self._seq != self._log.head:
            return b""
        self._said_live = True
        return self._frame(notices.LIVE)

    def advance(self, batch: Batch) -> bool:
        """Count `batch` as sent, where it is just what a live client lacks; otherwise do nothing.

        This runs for every delivery: it is short for that reason.
        """
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

    def _catch_up(self) -> bytes:
        """The next rows that the client lacks; empty where it lacks none of those looked at."""
        if missing := self._missing():
            return self._read_page(missing)
        self._seq = max(self._seq, self._log.oldest)
        frames: list[bytes] = []
        size = 0
        for entry in self._log.entries(self._seq, REPLAY_ENTRIES):
            self._seq += 1
            if entry.row_id in self._held:
                continue
            # The client has the base and every earlier entry: all that the entry's cursor holds,
            # but for this row and ids that can never appear.
            self._held = self._held.union(entry.cursor).without(self._waits_for)
            frames.append(self._frame(entry.lines))
            size += len(frames[-1])
            if size > CHUNK_BYTES:
                break
        if self._seq == self._log.head:
            self._settle()
        self.rows += len(frames)
        yield_now()
        return b"".join(frames)

    def _settle(self) -> None:
        """The client has every row up to the head. What else the worker's cursor holds is dead."""
        self._held = self._held.union(self._log.cursor).without(self._waits_for)
        self._live = self._held == self._log.cursor

    def _read_page(self, missing: Sequence[Range]) -> bytes:
        # Nothing may yield between `_missing()` and here: see backfill.py for what `as_of` says.
        try:
            page = self._backfill.page(missing, as_of=(self._placed_in, self._log.floor))
        except Exception:  # noqa: BLE001 - logged there, once for all who waited
            self._pause(random.uniform(*BACKFILL_RETRY_S))
            return sse.HEARTBEAT
        if self._placed_in != self._log.generation:
            return b""  # a reset overtook the query: these may be rows of the new history
        chunk, self._held = page.framed(self._epoch, self._held, self._unproven)
        self._waits_for = intersect(self._unproven, clip(self._held.holes, high=page.upto))
        if len(self._waits_for) > DOUBTS:
            return self._reset(notices.NOT_PROVEN)
        self.rows += len(page.rows)
        return chunk
