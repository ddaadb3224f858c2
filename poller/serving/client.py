"""A client's socket, as far as a stream needs it: notice its end, write what fits, cut it.

It knows nothing about streams, and about the server only that its sockets do not block.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any

import gevent

READABLE = 1  # the loop's flag for a watcher of input
# In the kernel, for one client; Linux doubles it for its own book-keeping. Left to itself it would
# grow to 4 MB for each client that reads slowly. A chunk of `subscriber.CHUNK_BYTES` just fits.
SEND_BUFFER_BYTES = 128 * 1024
# A stream's client has nothing to say. What it says is thrown away, so that its end is seen behind
# it, but not without limit.
UNASKED_BYTES = 64 * 1024
READ_BYTES = 4096
LOOKS_PER_DEADLINE = 5  # at what a client has taken
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

CLIENT_GONE = "client gone"
CLIENT_TALKS = "client sends data"
WRITE_DEADLINE = "write deadline"


def bound_silence(bounded: socket.socket, seconds: float) -> None:
    """Let the kernel end a TCP connection whose other end acknowledges nothing for this long; 0: no
    bound. What a listener accepts inherits it. Kernels without the option take a quarter of an
    hour. Raises OSError if it is no TCP socket."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bounded.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * seconds))


class ClientSocket:
    """A client's socket, or None if the server does not show it: then nothing is noticed."""

    __slots__ = ("_hides_end", "_socket", "_unasked_bytes", "_watcher")

    def __init__(self, client: socket.socket | None) -> None:
        # gevent's own methods would wait after a false alarm, which nobody may in the hub.
        self._socket: socket.socket | None = getattr(client, "_sock", client)
        self._hides_end = isinstance(client, ssl.SSLSocket)  # inside TLS records
        self._watcher: Any = None
        self._unasked_bytes = 0

    def bound_buffer(self) -> None:
        """Let the kernel hold at most SEND_BUFFER_BYTES for the client."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # gone by itself
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def bound_silence(self, seconds: float) -> None:
        """Let the kernel end the connection if the client acknowledges nothing for this long; 0
        removes the bound.

        It is for a client that vanished without a word. It must be off while a greenlet waits for
        a slow client: the kernel forgets that client's progress as long as its buffer has no room
        for a whole packet.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # no TCP, or gone by itself
                bound_silence(self._socket, seconds)

    def watch(self, ended: Callable[[str], None]) -> None:
        """Call `ended(reason)`, in the hub, once the client ends the connection. With TLS, only the
        next write notices."""
        if self._socket is None or self._hides_end:
            return
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), READABLE)
        self._watcher.start(self._readable, self._socket, ended)

    def watch_for_end(self, ended: Callable[[], None]) -> None:
        """As `watch()`, but what the client says stays unread: it may be its next request. Then no
        end can be seen behind it."""
        if self._socket is None or self._hides_end:
            return
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), READABLE)
        self._watcher.start(self._look, self._socket, ended)

    def _look(self, client: socket.socket, ended: Callable[[], None]) -> None:
        try:
            says = client.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            says = b""
        self.unwatch()
        if not says:
            ended()

    def unwatch(self) -> None:
        """Stop watching, before the socket is closed. Without `watch()` does nothing."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def _readable(self, client: socket.socket, ended: Callable[[str], None]) -> None:
        try:
            data = client.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            reason = WRITE_DEADLINE if error.errno == errno.ETIMEDOUT else CLIENT_GONE
        else:
            self._unasked_bytes += len(data)
            if data and self._unasked_bytes <= UNASKED_BYTES:
                return
            reason = CLIENT_TALKS if data else CLIENT_GONE
        self.unwatch()
        ended(reason)

    def unsent_bytes(self) -> int | None:
        """What the kernel holds and the client has not taken; None if the kernel does not say."""
        if self._socket is None:
            return None
        try:
            answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return None
        return int.from_bytes(answer, sys.byteorder)

    def cut(self) -> None:
        """Shut the socket down: a write that waits for it ends."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # gone by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Cut it, and let the kernel drop what the client did not take.

        Otherwise the kernel would keep that for minutes, and then forget the client without a word.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError):  # gone by itself
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.cut()
