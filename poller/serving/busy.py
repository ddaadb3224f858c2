"""The busy streams of a fan-out: each has a greenlet, which writes what could not be written at
once, because the client's buffer is full or because the table has to be read.

Invariant: only its greenlet closes a busy stream's socket. Others shut it down, which wakes that
greenlet: a descriptor closed under a greenlet that waits for it could already be another client's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from poller.runtime import log
from poller.serving.client import CLIENT_GONE, WRITE_DEADLINE
from poller.serving.socket_stream import SocketStream

FAILED = "error"


def reason_of(error: Exception, feed: str) -> str:
    """Why a stream ends with this error; one that no client can cause is told in the log."""
    if isinstance(error, TimeoutError):
        return WRITE_DEADLINE
    if isinstance(error, OSError):
        return CLIENT_GONE
    log.error("stream failed", feed=feed, exc_info=error)
    return FAILED


class Busy:
    """`next_chunk(stream)` is what it lacks, empty if nothing; then it is `park`ed, or `close`d if
    it has ended."""

    def __init__(
        self,
        feed: str,
        write_deadline_s: float,
        next_chunk: Callable[[SocketStream], bytes],
        park: Callable[[SocketStream], None],
        close: Callable[[SocketStream], None],
    ) -> None:
        self._feed = feed
        self._write_deadline_s = write_deadline_s
        self._next_chunk = next_chunk
        self._park = park
        self._close = close
        self._streams: set[SocketStream] = set()

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, stream: SocketStream) -> bool:
        return stream in self._streams

    def occupy(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        """Let a greenlet write `rest`, and then what the stream lacks. It must not be parked."""
        self._streams.add(stream)
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
            reason = reason_of(error, self._feed)
        # Nothing yields between "nothing new" and here.
        self._streams.discard(stream)
        stream.closed_because = stream.closed_because or reason
        if stream.closed_because:
            stream.farewell = None
            if reason == WRITE_DEADLINE:
                stream.client.abandon()
            self._close(stream)
        else:
            stream.client.bound_silence(self._write_deadline_s)
            self._park(stream)

    def _write_all(self, stream: SocketStream, chunk: bytes | memoryview) -> None:
        if chunk:
            stream.client.send_all(chunk, self._write_deadline_s)
            stream.sent_bytes += len(chunk)
            stream.written_at = time.monotonic()
