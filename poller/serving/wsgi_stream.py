"""A stream as the body of a WSGI response, for any server that gives each response a greenlet.

Under gunicorn's gevent worker, `fanout.py` does better. A client sees no difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
from gevent.event import Event

from poller.delivery.protocol import Log, Reader
from poller.runtime.settings import Settings
from poller.serving.client import CLIENT_GONE, LOOKS_PER_DEADLINE, WRITE_DEADLINE, ClientSocket
from poller.wire import notices, sse

MakeSubscriber = Callable[[Event, Callable[[float], object]], Reader]


class WsgiStream:
    """Iterate it for the response's bytes; `end()` may come from anywhere.

    `client` has the socket if the server shows it. Then a client that leaves is noticed at once,
    and one that takes no bytes can be dropped.
    """

    def __init__(
        self,
        make_subscriber: MakeSubscriber,
        event_log: Log,
        settings: Settings,
        client: ClientSocket,
        count_rows: Callable[[int], None],
        why_waiting: Callable[[], str],
    ) -> None:
        self.sent_bytes = 0
        self.closed_because = ""
        self._log = event_log
        self._settings = settings
        self._client = client
        self._count_rows = count_rows
        self._why_waiting = why_waiting
        self._signal = Event()
        self._farewell = b""
        self._writing_since = 0.0
        self._unsent_bytes: int | None = None
        self.subscriber = make_subscriber(self._signal, self._signal.wait)

    def __iter__(self) -> Iterator[bytes]:
        self._log.attach(self._signal, self.subscriber.view)
        self._client.bound_buffer()
        self._client.watch(self.end)
        try:
            yield from self._timed(self._chunks())
        finally:
            self._log.detach(self._signal, self.subscriber.view)
            self._client.unwatch()
            self.closed_because = self.closed_because or CLIENT_GONE

    def _timed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        look_s = self._settings.write_deadline_s / LOOKS_PER_DEADLINE
        timer = gevent.get_hub().loop.timer(look_s, look_s)
        try:
            for chunk in chunks:
                self._writing_since = time.monotonic()
                timer.start(self._drop_if_stuck)
                self._client.bound_silence(0)
                yield chunk
                self._client.bound_silence(self._settings.write_deadline_s)
                timer.stop()
                self.sent_bytes += len(chunk)
        finally:
            timer.close()

    def _chunks(self) -> Iterator[bytes]:
        yield sse.retry_line(self._settings.retry_ms)
        written_at = time.monotonic()
        while not self.closed_because:
            # Cleared before the look: whatever comes later sets the signal again, so nothing can be
            # missed between "nothing new" and "wait".
            self._signal.clear()
            rows = self.subscriber.rows
            if chunk := self.subscriber.next_chunk():
                self._count_rows(self.subscriber.rows - rows)
                yield chunk
                written_at = time.monotonic()
                continue
            # Rows that this client has already also set the signal.
            silence_left_s = written_at + self._settings.heartbeat_s - time.monotonic()
            if silence_left_s <= 0 or not self._signal.wait(silence_left_s):
                reason = self._why_waiting()
                yield (
                    notices.waiting(reason)
                    if reason
                    else self.subscriber.position() or sse.HEARTBEAT
                )
                written_at = time.monotonic()
        if self._farewell:
            yield self._farewell

    def end(self, reason: str, farewell: bytes | None = None) -> None:
        """End the stream, with `farewell` as its last bytes. The first reason counts."""
        if not self.closed_because:
            self.closed_because, self._farewell = reason, farewell or b""
            self.subscriber.stopped = True
            self._signal.set()

    def cut(self) -> None:
        """End the connection under a write that waits."""
        self._client.cut()

    def _drop_if_stuck(self) -> None:
        """Cut off a client that took nothing for the write deadline. It may come back and resume.

        A slow client is left alone: what the kernel holds for it changes. For one that takes
        nothing, the server's write would block its greenlet for ever; shutting the socket down
        ends it.
        """
        if (unsent := self._client.unsent_bytes()) != self._unsent_bytes:
            self._unsent_bytes, self._writing_since = unsent, time.monotonic()
        elif time.monotonic() - self._writing_since > self._settings.write_deadline_s:
            self.end(WRITE_DEADLINE)
            self._client.abandon()
