"""A proxy on the way of one client, which cuts its connection where a test says.

It passes the server's bytes on as they are, chunks included. With a `Stop` set it counts frames,
and holds everything back from a given byte of one of them: then the test knows exactly what the
client has, and may cut. What a page of a browser needs to load comes from here, too, so that page
and stream have one origin.
"""

import mimetypes
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.clients.stops import Rechunked, Stop, StopAfterBytes

CHUNK_END = b"\r\n"
PAGES = "/pages/"
PAGES_FOLDER = Path(__file__).parent
OWN_SCRIPTS = Path(__file__).parents[2] / "poller" / "static"
READ_BYTES = 16_384  # small, so that a stopped proxy soon stops the server, too
RECEIVE_BUFFER_BYTES = 16_384
TIMEOUT_S = 60.0


class CuttingProxy:
    """`with CuttingProxy(server_port) as proxy`: a client connects to `proxy.port`."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.port = 0
        self.requests: list[str] = []  # first lines, without those for pages
        self.statuses: list[int] = []  # of the answers
        self.chunk_bytes = 0  # of the body's chunks, cut anew; 0: as the server sent them
        self._changed = threading.Condition()
        self._stop: Stop | StopAfterBytes | None = None
        self._next_stop: StopAfterBytes | None = None
        self._stopped = False
        self._holding = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.refuse()
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    # -- what a test does with it -----------------------------------------------------------

    def stop_at(self, stop: Stop | StopAfterBytes) -> None:
        """Hold everything back from there on, counted from now."""
        with self._changed:
            self._stop, self._stopped = stop, False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def cut(self, next_stop: Stop | StopAfterBytes | None = None) -> None:
        """Close the connections of now. The next one is stopped at `next_stop`."""
        with self._changed:
            self._stop, self._stopped = next_stop, False
            self._close_all()

    def pass_rest(self, next_stop: StopAfterBytes | None = None) -> None:
        """Go on with what was held back. The next connection is stopped at `next_stop`."""
        with self._changed:
            self._stop, self._stopped, self._next_stop = None, False, next_stop
            self._changed.notify_all()

    def hold(self) -> None:
        """Let new connections wait, from now on."""
        self._set_holding(True)

    def let_in(self) -> None:
        self._set_holding(False)

    def refuse(self) -> None:
        """Nobody listens any more, and every connection ends: a server that is gone."""
        with self._changed:
            listener, self._listener = self._listener, None
            self._stop, self._stopped, self._holding = None, False, False
            self._close_all()
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # close() alone would not wake accept()
            listener.close()

    def accept(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept_from, self._listener)

    # -- one thread for each connection -----------------------------------------------------

    def _start(self, work: Callable[[socket.socket], None], argument: socket.socket) -> None:
        thread = threading.Thread(target=work, args=[argument], daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _set_holding(self, holding: bool) -> None:
        with self._changed:
            self._holding = holding
            self._changed.notify_all()

    def _close_all(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        self._changed.notify_all()

    def _accept_from(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        with client, server, suppress(OSError):
            with self._changed:
                self._sockets |= {client, server}
            try:
                self._answer(client, server)
            finally:
                with self._changed:
                    self._sockets -= {client, server}

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        head = _read_head(client)
        target = head.split(b" ")[1].decode() if head else ""
        if target.startswith(PAGES):
            client.sendall(_page(target))
        if not head or target.startswith(PAGES):
            return
        self.requests.append(head.split(b"\r\n")[0].decode())
        with self._changed:
            self._changed.wait_for(lambda: not self._holding or client not in self._sockets)
            if self._next_stop is not None:
                self._stop, self._next_stop = self._next_stop, None
        server.connect(("127.0.0.1", self.server_port))
        server.sendall(head)
        _Answer(self, client, server).pass_on()

    def _wait_released(self, client: socket.socket) -> bool:
        """Tells that it stopped, and waits; whether the connection is to go on."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._stopped or client not in self._sockets)
            return client in self._sockets


class _Answer:
    """One answer on its way to the client, frame by frame while a stop is set."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._pending = b""
        self._chunks = Rechunked(proxy.chunk_bytes) if proxy.chunk_bytes else None

    def pass_on(self) -> None:
        while True:
            readable, _, _ = select.select([self._server, self._client], [], [])
            if self._client in readable and not self._client.recv(READ_BYTES):
                return  # the client left
            if self._server not in readable:
                continue
            data = self._server.recv(READ_BYTES)
            if not data:
                self._send(self._pending)
                return
            if data.startswith(b"HTTP/1."):
                self._proxy.statuses.append(int(data[9:12]))
            self._pending += self._chunks.feed(data) if self._chunks else data
            if not self._pass_frames():
                return

    def _pass_frames(self) -> bool:
        """Send what may be sent; False where the connection was cut meanwhile."""
        while self._proxy._stop is not None:
            frame, end, rest = self._pending.partition(b"\n\n")
            if not end:
                return True  # whole frames only, since the stop may be within this one
            frame += end
            offset = self._proxy._stop.offset(frame)
            if offset == len(frame) and rest.startswith(CHUNK_END):
                # Else it is within a chunk still, and urllib3 gives out nothing of that.
                frame, rest, offset = frame + CHUNK_END, rest[2:], offset + 2
            self._send(frame[:offset])
            self._pending = rest if offset is None else frame[offset:] + rest
            if offset is not None and not self._proxy._wait_released(self._client):
                return False
        self._send(self._pending)
        self._pending = b""
        return True

    def _send(self, data: bytes) -> None:
        self._client.sendall(data)


def _read_head(client: socket.socket) -> bytes:
    """Up to the blank line; empty where the client said nothing, as browsers do in advance."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = client.recv(READ_BYTES)
        if not data:
            return b""
        head += data
    return head


def _page(target: str) -> bytes:
    """A file of this folder, or a script of ours. Modules of npm packages name each other without
    `.js`."""
    name = urlsplit(target).path.removeprefix(PAGES)
    path = (OWN_SCRIPTS if name.startswith("rowcast.") else PAGES_FOLDER) / name
    path = path if path.is_file() else path.with_name(f"{path.name}.js")
    if not path.is_file():
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    body = path.read_bytes()
    kind = (
        "text/javascript" if path.suffix in (".js", ".mjs") else mimetypes.guess_type(path.name)[0]
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body
