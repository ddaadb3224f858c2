"""The fanout: writes one batch to all live streams of a worker, straight into their sockets.

It knows no route and no SQL: the sockets come from `handover.py`, the bytes from `delivery/`. A
stream is in one of three places:

- parked (`parked.py`): it has everything there is for it now, and no greenlet. A round gives all
  that are live the same bytes.
- busy (`busy.py`): a greenlet writes what could not be written at once. Then the stream is parked
  again.
- out (`transit.py`): it moves to another process, and nobody writes here.

Invariants:
- Between a subscriber's "nothing new" and its place among the parked nothing yields, and every
  change of the log sets `signal`: so no parked stream misses one.
- A frame is written whole or the connection ends: a farewell never cuts one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

import gevent
from gevent.event import Event

from poller.delivery.entry import Batch
from poller.delivery.protocol import Log
from poller.runtime import log, metrics
from poller.runtime.hub import in_slices
from poller.runtime.settings import Settings
from poller.serving.busy import Busy, reason_of
from poller.serving.parked import Audience, Parked, to_write
from poller.serving.socket_stream import SocketStream
from poller.serving.transit import Transit
from poller.wire import notices, sse

# Joined once for all, so that a fast client takes a poll's rows in one write.
BATCH_BYTES = 256 * 1024
STREAMS_BETWEEN_LOOKS = 32  # at the clock; writing to one takes some 5 µs

T = TypeVar("T")


class Fanout:
    """All streams of one feed whose sockets are ours. It runs while there is one.

    `ended(stream)` is called once for each, when its socket is closed. `why_waiting()` says why the
    feed is not ready, empty if it is. Others only read `parked`, `busy` and `running`.
    """

    def __init__(
        self,
        feed: str,
        event_log: Log,
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
        self.busy = Busy(
            feed, settings.write_deadline_s, self._next_chunk, self.parked.add, self._close
        )
        self.transit = Transit(self.parked, self.busy, self._serve_again, self.release)
        self.running = False
        self._rows = 0  # sent, and not yet counted
        self._rows_delivered = metrics.rows_delivered.labels(feed)
        self.signal = Event()  # set by the log

    def add(self, stream: SocketStream) -> None:
        """Serve it from now on; its subscriber was made with our `signal`. The socket is ours."""
        stream.client.bound_buffer()
        self._take_on(stream)
        self._serve(stream, sse.retry_line(self._settings.retry_ms))

    def _serve_again(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        """Serve one that was out; `rest`, which is coded, comes first."""
        self._take_on(stream)
        if rest:
            self.busy.occupy(stream, rest)
        else:
            self._serve(stream)

    def _take_on(self, stream: SocketStream) -> None:
        stream.client.bound_silence(self._settings.write_deadline_s)
        stream.client.watch(stream.client_ended)
        if not self.running:
            self.running = True
            self._seq, self._generation = self._log.head, self._log.generation
            self._log.attach(self.signal)
            gevent.spawn(self._run)

    def release(self, stream: SocketStream) -> None:
        """Close an ended stream, at once if no greenlet has it; not while it is out."""
        if stream in self.busy:
            self.busy.go_on(stream)
            if not stream.farewell:
                stream.cut()
        elif not stream.out:
            self._close(stream)

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
        """Give every parked stream what there is for it: to the live ones of a view the same batch.

        A batch stays true while others have their turn, since what it brings was committed; should
        history change meanwhile, the next round says so.
        """
        overtaken = self._overtaken()
        for batch, coded, stream in _slices(to_write(self._batches())):
            if stream.subscriber.advance(batch):
                self._rows += batch.rows
                if batch.chunk:  # empty if its rows have changed since
                    client = stream.client
                    chunk = coded if client.chunked else batch.chunk
                    self._send(stream, chunk if client.whole else client.coded(batch.chunk))
            else:
                self._serve(stream)
        for stream in _slices([*overtaken, *self.parked.waiting]):
            if stream in self.parked.waiting or self.parked.is_live(stream):
                self._serve(stream)
        self._count_rows()

    def _overtaken(self) -> list[SocketStream]:
        """The live streams that no batch may reach: all if history has changed, otherwise those of
        which rows have left the ring since the last round. Rarely there are any."""
        if self._generation != self._log.generation:
            self._generation = self._log.generation
            return [*self.parked.live]
        if self._seq >= self._log.oldest:
            return []
        return [one for one in self.parked.live if one.subscriber.view.gone > self._seq]

    def _batches(self) -> list[tuple[Audience, Batch]]:
        """What is new since the last round, or a part of it, for the views that it is for."""
        new = self._log.part(max(self._seq, self._log.oldest), BATCH_BYTES)
        if not new:
            return []
        self._seq = new[-1][0] + 1
        if self._seq != self._log.head:
            self.signal.set()  # there is more than that
        found, now = [], time.monotonic()
        for view, rows in self._log.views.touched(new).items():
            if (audience := self.parked.audiences.get(view)) is not None:
                audience.batch_at = now
                found.append((audience, self._log.batch(view, rows, rows[0][0], BATCH_BYTES)))
        return found

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
            stream.end(reason_of(error, self._feed))
        finally:
            self._rows += subscriber.rows - rows

    def _send(self, stream: SocketStream, chunk: bytes) -> bool:
        """Write without waiting; whether that was all. If not, a greenlet has the stream now, or it
        has ended."""
        try:
            sent = stream.client.send(chunk)
        except Exception as error:  # noqa: BLE001 - one stream's trouble is not the others'
            stream.end(reason_of(error, self._feed))
            return False
        stream.sent_bytes += sent
        if sent == len(chunk):
            return True
        self._occupy(stream, memoryview(chunk)[sent:])
        return False

    def _count_rows(self) -> None:
        self._rows_delivered.inc(self._rows)
        self._rows = 0

    # -- heartbeats -------------------------------------------------------------------------

    def _send_heartbeats(self) -> None:
        now = time.monotonic()
        for stream in _slices(self.parked.due(now)):
            self.parked.send_heartbeat(stream, now)

    def _beat(self, stream: SocketStream) -> bool:
        reason = self._why_waiting()
        heartbeat = (
            notices.waiting(reason) if reason else stream.subscriber.position() or sse.HEARTBEAT
        )
        return self._send(stream, stream.client.coded(heartbeat))

    # -- busy streams -----------------------------------------------------------------------

    def _occupy(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        self.parked.discard(stream)
        self.busy.occupy(stream, rest)

    def _next_chunk(self, stream: SocketStream) -> bytes:
        rows = stream.subscriber.rows
        chunk = stream.subscriber.next_chunk()
        self._rows += stream.subscriber.rows - rows
        self._count_rows()
        return chunk

    def _close(self, stream: SocketStream) -> None:
        self.parked.discard(stream)
        if stream.farewell is not None:
            with suppress(OSError):
                stream.sent_bytes += stream.client.send(stream.client.last(stream.farewell))
        stream.client.close()
        self._ended(stream)


def _slices(items: Iterable[T]) -> Iterator[T]:
    return in_slices(items, items_between_looks=STREAMS_BETWEEN_LOOKS)
