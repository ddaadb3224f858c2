"""The fanout: writes one batch to all live streams of a worker, straight into their sockets.

It knows neither HTTP nor SQL: the sockets come from `handover.py`, the bytes from `delivery.py`. A
stream is in one of two places:

- parked: it has all there is for it now. It is a socket, a position and a watcher for the client's
  end, and no greenlet. Nearly all of these are live, and a round gives them the same bytes; a few
  wait for something else, such as the first pass.
- busy: a greenlet writes what could not be written at once, because the client's buffer is full, or
  because the table has to be read. Then the stream is parked again.

Invariants:
- Between a subscriber's "nothing new" and its place among the parked nothing yields, and every
  change of the log sets `signal`: so no parked stream misses one.
- A busy stream's socket is closed by its greenlet only. Others shut it down, which wakes that
  greenlet: a descriptor closed under somebody who waits on it could already be another client's.
- A frame is written whole or the connection ends: a farewell never cuts one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, takewhile

import gevent
from gevent.event import Event

from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.runtime import metrics
from poller.runtime.hub import give_turn
from poller.runtime.log import tell
from poller.runtime.settings import Settings
from poller.serving.client import CLIENT_GONE, WRITE_DEADLINE, OwnConnection
from poller.wire import sse

# Joined once for all, so that a fast client takes a poll's rows in one write.
BATCH_BYTES = 256 * 1024
HUB_SLICE_S = 0.004  # of writing, then others have their turn; one stream takes some 5 µs
STREAMS_BETWEEN_LOOKS = 32  # at the clock
# The part of the silence over which heartbeats are spread, and in how many ticks: after a batch all
# would be due at once. The last of them is still in time.
HEARTBEAT_SPREAD = 0.1
TICKS_PER_SPREAD = 5

FAILED = "error"


class SocketStream:
    """One stream and its socket, whose response's head has been written."""

    __slots__ = (
        "_fanout",
        "closed_because",
        "connection",
        "farewell",
        "sent_bytes",
        "subscriber",
        "written_at",
    )

    def __init__(self, fanout: Fanout, subscriber: Subscriber, connection: OwnConnection) -> None:
        self._fanout = fanout
        self.subscriber = subscriber
        self.connection = connection
        self.sent_bytes = 0
        self.written_at = 0.0  # not counting batches, see `Fanout._batch_at`
        self.closed_because = ""
        self.farewell = b""

    def end(self, reason: str, farewell: bytes = b"") -> None:
        """End the stream, with `farewell` as its last bytes. The first reason counts."""
        if not self.closed_because:
            self.closed_because, self.farewell = reason, farewell
            self._fanout.release(self)

    def client_ended(self, reason: str) -> None:
        """`end()`, for the hub, where nothing may wait and nothing should take long."""
        gevent.spawn(self.end, reason)

    def cut(self) -> None:
        """End the connection under a write that waits."""
        self.connection.cut()


class Fanout:
    """All streams of one feed whose sockets are ours. It runs while there is one.

    `ended(stream)` is called once for each, when its socket is closed.
    """

    def __init__(
        self,
        feed: str,
        event_log: EventLog,
        settings: Settings,
        ended: Callable[[SocketStream], None],
    ) -> None:
        self._feed = feed
        self._log = event_log
        self._settings = settings
        self._ended = ended
        # Parked and live, in the order of `written_at`; all of them were written to at `_batch_at`.
        self._live: dict[SocketStream, None] = {}
        self._batch_at = 0.0
        self._seq = 0  # where the next batch begins
        self._generation = 0  # of the log, at the last round
        self._waiting: set[SocketStream] = set()  # parked, but not live
        self._busy: set[SocketStream] = set()
        self._runs = False
        self._rows = 0  # sent, and not yet counted
        self._rows_delivered = metrics.rows_delivered.labels(feed)
        spread_s = settings.heartbeat_s * HEARTBEAT_SPREAD
        self._tick_s = spread_s / TICKS_PER_SPREAD
        self._silence_s = settings.heartbeat_s - spread_s - self._tick_s
        self.signal = Event()  # set by the log

    def add(self, stream: SocketStream) -> None:
        """Serve it from now on; its subscriber was made with our `signal`. The socket is ours."""
        stream.connection.bound_buffer()
        stream.connection.bound_silence(self._settings.write_deadline_s)
        stream.connection.watch(stream.client_ended)
        if not self._runs:
            self._runs = True
            self._seq, self._generation = self._log.head, self._log.generation
            self._log.attach(self.signal)
            gevent.spawn(self._run)
        self._serve(stream, sse.retry_frame(self._settings.retry_ms))

    def release(self, stream: SocketStream) -> None:
        """Close an ended stream, at once where no greenlet has it."""
        if stream not in self._busy:
            self._close(stream)
        elif not stream.farewell:
            stream.cut()

    # -- rounds -----------------------------------------------------------------------------

    def _run(self) -> None:
        while self._live or self._waiting or self._busy:
            try:
                if self.signal.wait(self._tick_s):
                    # Cleared before the look: what comes after it sets the signal again.
                    self.signal.clear()
                    self._round()
                self._send_heartbeats(time.monotonic())
            except Exception as error:  # noqa: BLE001 - a bug must not end every stream's rows
                tell("error", "fanout failed", feed=self._feed, exc_info=error)
                gevent.sleep(self._tick_s)
                self.signal.set()  # who was left out gets it in the next round
        # Nothing yields between the last look and here: whoever is added next starts us again.
        self._log.detach(self.signal)
        self._runs = False

    def _round(self) -> None:
        """Give every parked stream what there is for it: to the live ones the same batch.

        A batch stays true while others have their turn, since what it brings was committed; should
        history change meanwhile, the next round says so.
        """
        batch = self._log.take(max(self._seq, self._log.oldest), BATCH_BYTES)
        anew = self._generation != self._log.generation
        self._generation = self._log.generation
        if batch is not None:
            self._seq, self._batch_at = batch.next_seq, time.monotonic()
            if self._seq != self._log.head:
                self.signal.set()  # there is more than a batch
        for stream in _in_slices([*self._live] if batch or anew else []):
            if stream not in self._live:
                continue  # it ended in a pause
            if batch is not None and stream.subscriber.advance(batch):
                self._rows += batch.next_seq - batch.seq
                self._send(stream, batch.chunk)
            else:
                self._serve(stream)
        for stream in _in_slices([*self._waiting]):
            if stream in self._waiting:
                self._serve(stream)
        self._count_rows()

    def _serve(self, stream: SocketStream, chunk: bytes = b"") -> None:
        """Write all there is, after `chunk`; a stream that would have to wait gets a greenlet."""
        subscriber = stream.subscriber
        rows = subscriber.rows
        try:
            while (new := subscriber.chunk_at_once()) is not None:
                chunk += new
                if not chunk:
                    return self._park(stream)
                if not self._send(stream, chunk):
                    return None
                stream.written_at, chunk = time.monotonic(), b""
            self._occupy(stream, chunk)
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            stream.end(self._reason(error))
        finally:
            self._rows += subscriber.rows - rows

    def _send(self, stream: SocketStream, chunk: bytes) -> bool:
        """Write without waiting; whether that was all. If not, a greenlet has the stream now, or it
        has ended."""
        try:
            sent = stream.connection.send(chunk)
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            stream.end(self._reason(error))
            return False
        stream.sent_bytes += sent
        if sent == len(chunk):
            return True
        self._occupy(stream, memoryview(chunk)[sent:])
        return False

    def _reason(self, error: Exception) -> str:
        """Why a stream ends with this error; one that no client can cause is told in the log."""
        if isinstance(error, TimeoutError):
            return WRITE_DEADLINE
        if isinstance(error, OSError):
            return CLIENT_GONE
        tell("error", "stream failed", feed=self._feed, exc_info=error)
        return FAILED

    def _count_rows(self) -> None:
        self._rows_delivered.inc(self._rows)
        self._rows = 0

    # -- parking ----------------------------------------------------------------------------

    def _park(self, stream: SocketStream) -> None:
        if not stream.subscriber.is_live:
            self._take_out(stream)
            self._waiting.add(stream)
        elif stream not in self._live:
            self._waiting.discard(stream)
            # It becomes the last in the order of `written_at`, so it must not be silent for long.
            late = time.monotonic() - stream.written_at > self._tick_s
            if not late or self._beat(stream):
                self._live[stream] = None

    def _take_out(self, stream: SocketStream) -> None:
        """No longer parked."""
        if stream in self._live:
            del self._live[stream]
            stream.written_at = max(stream.written_at, self._batch_at)
        self._waiting.discard(stream)

    # -- heartbeats -------------------------------------------------------------------------

    def _send_heartbeats(self, now: float) -> None:
        for stream in _in_slices(self._silent_since(now - self._silence_s)):
            if stream in self._live:
                del self._live[stream]
                if self._beat(stream):
                    self._live[stream] = None
            elif stream in self._waiting:
                self._beat(stream)

    def _beat(self, stream: SocketStream) -> bool:
        stream.written_at = time.monotonic()
        return self._send(stream, sse.HEARTBEAT)

    def _silent_since(self, moment: float) -> list[SocketStream]:
        """Those that were sent nothing since; of the live ones only some at each tick, the longest
        silent first."""
        silent = [stream for stream in self._waiting if stream.written_at <= moment]
        if self._batch_at <= moment:
            share = -(-len(self._live) // TICKS_PER_SPREAD)
            first = islice(self._live, share)
            silent += takewhile(lambda stream: stream.written_at <= moment, first)
        return silent

    # -- busy streams -----------------------------------------------------------------------

    def _occupy(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        """Let a greenlet write `rest`, and then what the stream lacks."""
        self._take_out(stream)
        self._busy.add(stream)
        stream.connection.bound_silence(0)
        gevent.spawn(self._catch_up, stream, rest)

    def _catch_up(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        reason = ""
        try:
            self._write_all(stream, rest)
            while not stream.closed_because and (chunk := self._next_chunk(stream)):
                self._write_all(stream, chunk)
            if stream.closed_because:
                self._write_all(stream, stream.farewell)
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            reason = self._reason(error)
        # Nothing yields between "nothing new" and here.
        self._busy.discard(stream)
        stream.closed_because = stream.closed_because or reason
        if stream.closed_because:
            stream.farewell = b""
            if reason == WRITE_DEADLINE:
                stream.connection.abandon()
            self._close(stream)
        else:
            stream.connection.bound_silence(self._settings.write_deadline_s)
            self._park(stream)

    def _next_chunk(self, stream: SocketStream) -> bytes:
        rows = stream.subscriber.rows
        chunk = stream.subscriber.next_chunk()
        self._rows += stream.subscriber.rows - rows
        self._count_rows()
        return chunk

    def _write_all(self, stream: SocketStream, chunk: bytes | memoryview) -> None:
        if chunk:
            stream.connection.send_all(chunk, self._settings.write_deadline_s)
            stream.sent_bytes += len(chunk)
            stream.written_at = time.monotonic()

    def _close(self, stream: SocketStream) -> None:
        self._take_out(stream)
        if stream.farewell:
            with suppress(OSError):
                stream.sent_bytes += stream.connection.send(stream.farewell)
        stream.connection.close()
        self._ended(stream)


def _in_slices(streams: Sequence[SocketStream]) -> Iterator[SocketStream]:
    """The same streams, with a turn for other greenlets every few milliseconds."""
    began_at = time.monotonic()
    for count, stream in enumerate(streams, start=1):
        yield stream
        if count % STREAMS_BETWEEN_LOOKS == 0 and time.monotonic() - began_at > HUB_SLICE_S:
            give_turn()
            began_at = time.monotonic()
