"""The client's connection, as far as a stream needs it: has it ended, and cut it.

The server writes to the socket; this only listens and shuts down. It knows nothing of streams.

A client that shuts down only its sending side counts as gone, too: nothing tells the two apart, and
the end of a connection is what a client that vanishes leaves behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import sys
import termios
from collections.abc import Callable
from typing import Any

import gevent

READABLE = 1  # the loop's flag for a watcher of input
HEARD_AT_ONCE_BYTES = 16 * 1024
# A client of a stream has nothing to say. What it sends is thrown away, since its end can only be
# seen behind that; but who says more than this is no client of ours, and costs time.
HEARD_BYTES = 64 * 1024


class Connection:
    """A client's socket, or None where the server does not show it: then nothing is noticed."""

    def __init__(self, client: socket.socket | None) -> None:
        self._socket = client
        self._watcher: Any = None
        self._heard_bytes = 0

    def watch(self, ended: Callable[[], None]) -> None:
        """Call `ended`, in the hub, once the client ends the connection or will not be quiet.

        TLS hides the end inside its records; it is noticed at the next write then.
        """
        if self._socket is None or isinstance(self._socket, ssl.SSLSocket):
            return
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), READABLE)
        self._watcher.start(self._readable, self._socket, ended)

    def unwatch(self) -> None:
        """Stop watching, before the server closes the socket. Without `watch()` does nothing."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def unsent_bytes(self) -> int | None:
        """What the kernel holds that the client has not taken; None where it does not tell."""
        if self._socket is None:
            return None
        try:
            answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return None
        return int.from_bytes(answer, sys.byteorder)

    def cut(self) -> None:
        """Shut the socket down: a write that waits on it ends."""
        if self._socket is not None:
            with contextlib.suppress(OSError):  # gone by itself
                _plain(self._socket).shutdown(socket.SHUT_RDWR)

    def _readable(self, client: socket.socket, ended: Callable[[], None]) -> None:
        try:
            heard = len(_plain(client).recv(HEARD_AT_ONCE_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:
            heard = 0
        self._heard_bytes += heard
        if not heard or self._heard_bytes > HEARD_BYTES:
            self.unwatch()
            ended()


def _plain(client: socket.socket) -> socket.socket:
    """The socket beneath gevent's. That one's recv() would wait after a false alarm, which nobody
    may in the hub; its shutdown() makes a write that waits fail as if by a mistake of ours, which
    the server then logs, instead of with EPIPE."""
    plain: socket.socket = getattr(client, "_sock", client)
    return plain
