"""The fanout: writes one batch to all live streams of a worker, straight into their sockets.

It knows no route and no SQL: the sockets come from `handover.py`, the bytes from `delivery/`. A
stream is in one of two places:

- parked (`parked.py`): it has everything there is for it now, and no greenlet. A round gives all
  that are live the same bytes.
- busy: a greenlet writes what could not be written at once, because the client's buffer is full or
  because the table has to be read. Then the stream is parked again.

Invariants:
- Between a subscriber's "nothing new" and its place among the parked nothing yields, and every
  change of the log sets `signal`: so no parked stream misses one.
- Only its greenlet closes a busy stream's socket. Others shut it down, which wakes that greenlet:
  a descriptor closed under a greenlet that waits for it could already be another client's.
- A frame is written whole or the connection ends: a farewell never cuts one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import gevent
from gevent.event import Event

from poller.delivery.event_log import EventLog
from poller.runtime import log, metrics
from poller.runtime.hub import in_slices
from poller.runtime.settings import Settings
from poller.serving.client import CLIENT_GONE, WRITE_DEADLINE
from poller.serving.parked import Parked
from poller.serving.socket_stream import SocketStream
from poller.wire import chunked, notices, sse

# Joined once for all, so that a fast client takes a poll's rows in one write.
BATCH_BYTES = 256 * 1024
STREAMS_BETWEEN_LOOKS = 32  # at the clock; writing to one takes some 5 µs

FAILED = "error"


class Fanout:
    """All streams of one feed whose sockets are ours. It runs while there is one.

    `ended(stream)` is called once for each, when its socket is closed. `why_waiting()` says why the
    feed is not ready, empty if it is. Others only read `parked`, `busy` and `running`.
    """

    def __init__(
        self,
        feed: str,
        event_log: EventLog,
        settings: Settings,
        ended: Callable[[SocketStream], None],
        why_waiting: Callable[[], str],
    ) -> None:
        self._feed = feed
        self._log = event_log
        self._settings = settings
        self._ended = ended
        self._why_waiting = why_waiting
        self.parked = Parked(settings.heartbeat_s, self._beat)
        self._seq = 0  # where the next batch begins
        self._generation = 0  # of the log, at the last round
        self.busy: set[SocketStream] = set()
        self.running = False
        self._rows = 0  # sent, and not yet counted
        self._rows_delivered = metrics.rows_delivered.labels(feed)
        self.signal = Event()  # set by the log

    def add(self, stream: SocketStream) -> None:
        """Serve it from now on; its subscriber was made with our `signal`. The socket is ours."""
        stream.client.bound_buffer()
        stream.client.bound_silence(self._settings.write_deadline_s)
        stream.client.watch(stream.client_ended)
        if not self.running:
            self.running = True
            self._seq, self._generation = self._log.head, self._log.generation
            self._log.attach(self.signal)
            gevent.spawn(self._run)
        self._serve(stream, sse.retry_line(self._settings.retry_ms))

    def release(self, stream: SocketStream) -> None:
        """Close an ended stream, at once if no greenlet has it."""
        if stream not in self.busy:
            self._close(stream)
        elif not stream.farewell:
            stream.cut()

    # -- rounds -----------------------------------------------------------------------------

    def _run(self) -> None:
        while self.parked or self.busy:
            try:
                if self.signal.wait(self.parked.tick_s):
                    # Cleared before the look: what comes after it sets the signal again.
                    self.signal.clear()
                    self._round()
                self._send_heartbeats()
            except Exception as error:  # noqa: BLE001 - a bug must not end every stream's rows
                log.error("fanout failed", feed=self._feed, exc_info=error)
                gevent.sleep(self.parked.tick_s)
                self._generation = 0  # so the next round looks at every stream again
                self.signal.set()
        # Nothing yields between the last look and here: the next stream starts us again.
        self._log.detach(self.signal)
        self.running = False

    def _round(self) -> None:
        """Give every parked stream what there is for it: to the live ones the same batch.

        A batch stays true while others have their turn, since what it brings was committed; should
        history change meanwhile, the next round says so.
        """
        batch = self._log.take(max(self._seq, self._log.oldest), BATCH_BYTES)
        new_generation = self._generation != self._log.generation
        self._generation = self._log.generation
        if batch is not None:
            self._seq, self.parked.batch_at = batch.next_seq, time.monotonic()
            if self._seq != self._log.head:
                self.signal.set()  # there is more than a batch
        live = self.parked.live
        coded = chunked.chunk(batch.chunk) if batch is not None else b""  # once for all
        for stream in _slices([*live] if batch or new_generation else []):
            if stream not in live:
                continue  # it ended in a pause
            if batch is not None and stream.subscriber.advance(batch):
                self._rows += batch.next_seq - batch.seq
                self._send(stream, coded if stream.client.chunked else batch.chunk)
            else:
                self._serve(stream)
        for stream in _slices([*self.parked.waiting]):
            if stream in self.parked.waiting:
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
                    return self.parked.add(stream)
                if not self._send(stream, stream.client.coded(chunk)):
                    return None
                stream.written_at, chunk = time.monotonic(), b""
            self._occupy(stream, stream.client.coded(chunk))
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            stream.end(self._reason(error))
        finally:
            self._rows += subscriber.rows - rows

    def _send(self, stream: SocketStream, chunk: bytes) -> bool:
        """Write without waiting; whether that was all. If not, a greenlet has the stream now, or it
        has ended."""
        try:
            sent = stream.client.send(chunk)
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
        log.error("stream failed", feed=self._feed, exc_info=error)
        return FAILED

    def _count_rows(self) -> None:
        self._rows_delivered.inc(self._rows)
        self._rows = 0

    # -- heartbeats -------------------------------------------------------------------------

    def _send_heartbeats(self) -> None:
        for stream in _slices(self.parked.due(time.monotonic())):
            self.parked.send_heartbeat(stream)

    def _beat(self, stream: SocketStream) -> bool:
        reason = self._why_waiting()
        heartbeat = notices.waiting(reason) if reason else sse.HEARTBEAT
        return self._send(stream, stream.client.coded(heartbeat))

    # -- busy streams -----------------------------------------------------------------------

    def _occupy(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        """Let a greenlet write `rest`, and then what the stream lacks."""
        self.parked.discard(stream)
        self.busy.add(stream)
        stream.client.bound_silence(0)
        gevent.spawn(self._write_until_parked, stream, rest)

    def _write_until_parked(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        reason = ""
        try:
            self._write_all(stream, rest)
            while not stream.closed_because and (chunk := self._next_chunk(stream)):
                self._write_all(stream, stream.client.coded(chunk))
            if stream.farewell is not None:
                self._write_all(stream, stream.client.last(stream.farewell))
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            reason = self._reason(error)
        # Nothing yields between "nothing new" and here.
        self.busy.discard(stream)
        stream.closed_because = stream.closed_because or reason
        if stream.closed_because:
            stream.farewell = None
            if reason == WRITE_DEADLINE:
                stream.client.abandon()
            self._close(stream)
        else:
            stream.client.bound_silence(self._settings.write_deadline_s)
            self.parked.add(stream)

    def _next_chunk(self, stream: SocketStream) -> bytes:
        rows = stream.subscriber.rows
        chunk = stream.subscriber.next_chunk()
        self._rows += stream.subscriber.rows - rows
        self._count_rows()
        return chunk

    def _write_all(self, stream: SocketStream, chunk: bytes | memoryview) -> None:
        if chunk:
            stream.client.send_all(chunk, self._settings.write_deadline_s)
            stream.sent_bytes += len(chunk)
            stream.written_at = time.monotonic()

    def _close(self, stream: SocketStream) -> None:
        self.parked.discard(stream)
        if stream.farewell is not None:
            with suppress(OSError):
                stream.sent_bytes += stream.client.send(stream.client.last(stream.farewell))
        stream.client.close()
        self._ended(stream)


def _slices(streams: Sequence[SocketStream]) -> Iterator[SocketStream]:
    return in_slices(streams, items_between_looks=STREAMS_BETWEEN_LOOKS)
