"""Delivery: one stream to one client, as the iterator of a WSGI response.

It knows neither Flask nor SQL. A `Subscriber` is a position in the log and the set of rows its
client holds; it is in one of two states:

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
import socket
import time
from collections.abc import Iterator, Sequence

import gevent
from gevent.event import Event

from poller import metrics, row, sse
from poller.backfill import Backfill
from poller.connection import Connection
from poller.cursor import Cursor, Range, clip, intersect, subtract
from poller.event_log import EventLog
from poller.settings import Settings

CHUNK_BYTES = 256 * 1024  # written at once: what a slow client can hold back in memory
REPLAY_ENTRIES = 256  # entries looked at before others get their turn
BACKFILL_RETRY_S = (0.5, 2.0)  # the database is away: when to ask again
DOUBTS = 1000  # ranges of ids that may still appear, for one client, below the log's floor

CLIENT_GONE = "client gone"

MALFORMED_ID = "malformed-id"
UNKNOWN_HISTORY = "unknown-history"
AHEAD_OF_TABLE = "ahead-of-table"
NOT_PROVEN = "not-proven"


class Subscriber:
    """One open stream. Iterate it for the response's bytes; `end()` may come from anywhere.

    `last_event_id` is what the client sent, None for "from now". `client` is its socket where
    the server shows it: the end of the client is then noticed at once, and one that takes no bytes
    can be dropped.
    """

    def __init__(
        self,
        feed: str,
        event_log: EventLog,
        backfill: Backfill,
        settings: Settings,
        last_event_id: str | None = None,
        client: socket.socket | None = None,
    ) -> None:
        self.feed = feed
        self.closed_because = ""
        self._log = event_log
        self._backfill = backfill
        self._settings = settings
        self._last_event_id = last_event_id
        self._connection = Connection(client)
        self._signal = Event()
        self._farewell = b""
        self._writing_since: float | None = None
        self._unsent_bytes: int | None = None
        self._placed_in = 0  # the log's generation; 0: not placed yet
        self._epoch = ""  # that generation's; while a page is read the log's may change
        self._asked_at: int | None = None
        self._live = False
        self._seq = 0
        self._held = Cursor()  # what the client has: while live, as of `seq`
        self._unproven: tuple[Range, ...] = ()  # see `_missing()`
        self._waits_for: tuple[Range, ...] = ()  # what of it the table did not show

    # -- the response -----------------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        self._log.attach(self._signal)
        self._connection.watch(lambda: self.end(CLIENT_GONE))
        try:
            yield from self._timed(self._stream())
        finally:
            self._log.detach(self._signal)
            self._connection.unwatch()
            self.closed_because = self.closed_because or CLIENT_GONE

    def _timed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._writing_since = time.monotonic()
            yield chunk
            self._writing_since = None

    def _stream(self) -> Iterator[bytes]:
        yield sse.retry_frame(self._settings.retry_ms)
        while not self.closed_because:
            # Cleared before the look: what comes after it sets the signal again, so that nothing
            # can be missed between "nothing new" and "wait".
            self._signal.clear()
            if chunk := self._next_chunk():
                yield chunk
            elif not self._signal.wait(self._settings.heartbeat_s):
                yield sse.HEARTBEAT
        if self._farewell:
            yield self._farewell

    def end(self, reason: str, farewell: bytes = b"") -> None:
        """End the stream, with `farewell` as its last bytes. The first reason counts."""
        if not self.closed_because:
            self.closed_because, self._farewell = reason, farewell
            self._signal.set()

    # -- what to send -----------------------------------------------------------------------

    def _next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now."""
        while self._log.ready:
            if self._placed_in != self._log.generation:
                return self._place()
            if self._live and self._seq >= self._log.oldest:
                return self._take()
            self._live = False  # where it was, it was too slow for the ring
            if chunk := self._catch_up():
                return chunk
            if not self._live and self._seq == self._log.head:
                return b""
        return b""

    def _place(self) -> bytes:
        """Find where the client stands in this history. Its answer begins with an id-only frame,
        so that a drop before the first row loses nothing."""
        if self._placed_in:
            return self._reset(self._log.reset_reason)
        try:
            resume = sse.parse_last_event_id(self._last_event_id)
        except ValueError:
            return self._reset(MALFORMED_ID)
        if resume is None:
            return self._from_now()
        if resume.epoch is not None and resume.epoch not in self._log.epochs:
            return self._reset_after_a_pass(UNKNOWN_HISTORY)
        if resume.cursor.position > self._log.counter:
            return self._reset_after_a_pass(AHEAD_OF_TABLE)
        return self._resume(resume.cursor)

    def _from_now(self) -> bytes:
        self._placed_in, self._epoch = self._log.generation, self._log.epoch
        self._seq, self._held, self._live = self._log.head, self._log.cursor, True
        self._unproven = self._waits_for = ()
        return self._id_frame()

    def _resume(self, cursor: Cursor) -> bytes:
        self._placed_in, self._epoch = self._log.generation, self._log.epoch
        self._held = cursor
        self._unproven, self._waits_for = clip(cursor.holes, high=self._log.floor), ()
        seq = self._log.locate(cursor)
        self._live = seq is not None
        self._seq = self._log.oldest if seq is None else seq
        kind = "log" if self._live else "table" if self._missing() else "ring"
        metrics.resumes.labels(self.feed, kind).inc()
        return self._id_frame()

    def _reset_after_a_pass(self, reason: str) -> bytes:
        """The client knows more than this worker: a greater id, or a name of the history. Another
        worker may have been quicker: only after a pass that began later than now is it known that
        the table itself is not so far, or that it never had that name."""
        if self._asked_at is None:
            self._asked_at = self._log.complete_passes
        if self._log.complete_passes >= self._asked_at + 2:  # the first may be under way already
            return self._reset(reason)
        self._log.await_pass(self._signal)
        return b""

    def _reset(self, reason: str) -> bytes:
        """Tell the client to load the rows again; the stream goes on from now."""
        metrics.resets.labels(self.feed, reason).inc()
        notice = sse.frame(row.to_json({"reason": reason}), event="reset")
        return notice + self._from_now()

    def _id_frame(self) -> bytes:
        return sse.id_frame(sse.format_event_id(self._epoch, self._held))

    # -- live -------------------------------------------------------------------------------

    def _take(self) -> bytes:
        if self._seq == self._log.head:
            return b""
        chunk, seq, held = self._log.take(self._seq, CHUNK_BYTES)
        metrics.rows_delivered.labels(self.feed).inc(seq - self._seq)
        self._seq, self._held = seq, held
        return chunk

    # -- catching up ------------------------------------------------------------------------

    def _missing(self) -> tuple[Range, ...]:
        """What the client lacks of the rows that have left the ring.

        Ids that the table does not show can never appear, and are then counted as delivered. Not
        so below the log's floor: a transaction that is older than this worker may still bring
        them. They stay open in the client's cursor, and are asked for once more when the floor is
        gone.
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
            frames.append(self._under_own_id(entry.frame[entry.body_at :]))
            size += len(frames[-1])
            if size > CHUNK_BYTES:
                break
        if self._seq == self._log.head:
            self._settle()
        metrics.rows_delivered.labels(self.feed).inc(len(frames))
        gevent.sleep(0)
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
            self._signal.wait(random.uniform(*BACKFILL_RETRY_S))
            return sse.HEARTBEAT
        if self._placed_in != self._log.generation:
            return b""  # a reset overtook the query: these may be rows of the new history
        chunk, self._held = page.framed(self._epoch, self._held, self._unproven)
        self._waits_for = intersect(self._unproven, clip(self._held.holes, high=page.upto))
        if len(self._waits_for) > DOUBTS:
            return self._reset(NOT_PROVEN)
        metrics.rows_delivered.labels(self.feed).inc(len(page.rows))
        return chunk

    def _under_own_id(self, body: bytes) -> bytes:
        return sse.id_line(sse.format_event_id(self._epoch, self._held)) + body

    # -- the client's end -------------------------------------------------------------------

    def drop_if_stuck(self, now: float) -> None:
        """Cut a client off that took nothing for the write deadline. It may come back and resume.

        Called every second. A slow client moves what the kernel holds for it, and is left alone;
        for one that takes nothing the server's write would block its greenlet for ever, and
        shutting the socket down ends it.
        """
        if self._writing_since is None:
            return
        if (unsent := self._connection.unsent_bytes()) != self._unsent_bytes:
            self._unsent_bytes, self._writing_since = unsent, now
        elif now - self._writing_since > self._settings.write_deadline_s:
            self.end("write deadline")
            self.cut()

    def cut(self) -> None:
        """End the connection under a write that waits."""
        self._connection.cut()
