"""The busy streams of a fan-out: each has a greenlet, which writes what could not be written at
once, because the client's buffer is full or because the table has to be read.

Invariant: only its greenlet closes a busy stream's socket. Others shut it down, which wakes that
greenlet: a descriptor closed under a greenlet that waits for it could already be another client's.

While streams are to move, each stops by itself and gives its greenlet up. None is killed: it may
have its next rows already, and not have written them yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import gevent

from poller.runtime import log
from poller.serving.client import CLIENT_GONE, WRITE_DEADLINE
from poller.serving.left import Left
from poller.serving.socket_stream import SocketStream

FAILED = "error"

Rest = bytes | memoryview


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
        self._loose = False
        self.stopped: dict[SocketStream, Rest] = {}  # those without a greenlet

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, stream: SocketStream) -> bool:
        return stream in self._streams

    @property
    def settled(self) -> bool:
        """Whether none of them has a greenlet that writes."""
        return len(self.stopped) == len(self._streams)

    def loosen(self) -> None:
        """From now on let each stop by itself, between two writes."""
        self._loose = True
        for stream in self._streams:
            stream.client.wake()

    def tighten(self) -> None:
        """Those that have stopped go on, and no other stops."""
        self._loose = False
        for stream in [*self.stopped]:
            self.go_on(stream)

    def go_on(self, stream: SocketStream) -> None:
        """Let one go on, if it has stopped."""
        if stream in self.stopped:
            gevent.spawn(self._write_until_parked, stream, self.stopped.pop(stream))

    def give_up(self, stream: SocketStream) -> Rest:
        """It is no longer ours, if it has stopped. What is left of its current chunk."""
        self._streams.discard(stream)
        return self.stopped.pop(stream, b"")

    def occupy(self, stream: SocketStream, rest: bytes | memoryview) -> None:
        """Let a greenlet write `rest`, and then what the stream lacks. It must not be parked."""
        self._streams.add(stream)
        stream.client.bound_silence(0)
        gevent.spawn(self._write_until_parked, stream, rest)

    def _write_until_parked(self, stream: SocketStream, rest: Rest) -> None:
        reason = ""
        try:
            while not (stopped := self._write(stream, rest)):
                if stream.closed_because or not (chunk := self._next_chunk(stream)):
                    break
                rest = stream.client.coded(chunk)
            if stopped:
                return
            if stream.farewell is not None:
                self._write(stream, stream.client.last(stream.farewell))
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

    def _write(self, stream: SocketStream, chunk: Rest) -> bool:
        """Whether it has stopped, with what was not written in `stopped`."""
        stops = partial(self._stops, stream)
        left = stream.client.send_all(chunk, self._write_deadline_s, stops) if chunk else chunk
        if len(left) < len(chunk):
            stream.sent_bytes += len(chunk) - len(left)
            stream.written_at = time.monotonic()
        if not self._stops(stream, left):
            return False
        self.stopped[stream] = left
        return True

    def _stops(self, stream: SocketStream, left: Rest) -> bool:
        return self._loose and Left.of(stream, left) is not None
