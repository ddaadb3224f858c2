"""The hand-over: takes a client's connection over from gunicorn's gevent worker.

A WSGI response holds a greenlet, and one of the worker's connections, for as long as it lasts.
After the hand-over there is only a socket, which is ours. What this relies on is checked by
`tests/poller/serving/test_handover.py` and `tests/serving/`, which fail when a new gunicorn
changes it:

- `environ["gunicorn.socket"]` is gevent's socket, and `start_response` returns a method of
  gunicorn's `Response`, also through middleware that passes it on. That response writes the head
  itself, chunked for a client of HTTP/1.1: here into a buffer, so that it goes out in one packet
  with the first frames, which is 5 % of what a connect costs. Told to close, and that nothing was
  chunked, it then has nothing more to write, and closes its side.
- We *detach* the descriptor instead of duplicating it. gunicorn and gevent then hold a closed
  socket: whatever they do with it, such as answer a second request that came in the same packet,
  cannot reach the client. (A duplicate would also leave the first descriptor in libev's epoll set
  for as long as the stream lasts: the kernel takes it out only with the last duplicate.)
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import Any

from gevent import monkey
from gevent import socket as gevent_socket

from poller.serving import server
from poller.serving.owned_socket import OwnedSocket

# The plain one, whose methods never switch greenlets.
PlainSocket = monkey.get_original("socket", "SocketType")


class _Buffer:
    """In place of a socket: keeps what is written to it."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


def take(environ: Mapping[str, Any], write: object) -> OwnedSocket | None:
    """The client's socket, with the response's head to send first; from now on it is the caller's.

    `write` is what `start_response` returned. None if this server, or this connection, cannot be
    taken over: then nothing has happened.
    """
    client: Any = environ.get("gunicorn.socket")
    response: Any = getattr(write, "__self__", None)
    if not (server.is_gevent_worker() and _is_plain(client) and _is_gunicorns(response)):
        return None
    response.force_close()
    response.sock = head = _Buffer()
    response.send_headers()
    chunked, response.chunked = response.chunked, False  # or its end would write a last chunk
    family, kind, protocol = client.family, client.type, client.proto
    taken: socket.socket = PlainSocket(family, kind, protocol, fileno=client.detach())
    taken.setblocking(False)
    return OwnedSocket(taken, chunked=chunked, head=head.data)


def _is_plain(client: object) -> bool:
    """Not a subclass: TLS keeps a state beside the descriptor, which cannot be taken along."""
    return type(client) is gevent_socket.socket


def _is_gunicorns(response: object) -> bool:
    """Not a subclass: HTTP/2 has one, whose streams share a connection."""
    wsgi = sys.modules.get("gunicorn.http.wsgi")
    return wsgi is not None and type(response) is wsgi.Response
