"""The least that delivers a row: `for link in links: link.send(frame)`.

It has no heartbeat and no history, and a client whose socket is full misses the row. Runs as
`python -m benchmarks.contenders.floor_server PORT CONTROL_PORT`.
"""

from __future__ import annotations

import selectors
import socket
import sys
from contextlib import suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n:\n\n"
READ_BYTES = 2**16
BACKLOG = 4096


class Server:
    def __init__(self, port: int, control_port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._links: dict[int, socket.socket] = {}
        self._rest = b""
        self._row = 0
        self._listen(port, self._accept)
        self._listen(control_port, self._accept_control)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _listen(self, port: int, accept: object) -> None:
        listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self._selector.register(listener, selectors.EVENT_READ, accept)

    def _accept(self, listener: socket.socket) -> None:
        link, _ = listener.accept()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(link, selectors.EVENT_READ, self._answer)

    def _accept_control(self, listener: socket.socket) -> None:
        link, _ = listener.accept()
        self._selector.register(link, selectors.EVENT_READ, self._take)

    def _answer(self, link: socket.socket) -> None:
        """The request, or its end."""
        with suppress(OSError):
            if link.recv(READ_BYTES):
                link.send(HEAD)
                self._links[link.fileno()] = link
                return
        self._links.pop(link.fileno(), None)
        self._selector.unregister(link)
        link.close()

    def _take(self, control: socket.socket) -> None:
        data = control.recv(READ_BYTES)
        if not data:
            self._selector.unregister(control)
            return
        *rows, self._rest = (self._rest + data).split(b"\n")
        for row in rows:
            self._row += 1
            self._deliver(b"id: %d\ndata: %s\n\n" % (self._row, row))

    def _deliver(self, frame: bytes) -> None:
        for link in self._links.values():
            try:
                link.send(frame)
            except OSError:
                continue


if __name__ == "__main__":
    Server(int(sys.argv[1]), int(sys.argv[2])).run()
