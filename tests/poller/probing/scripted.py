"""A server that answers each request as a script says, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"
END = "0\r\n\r\n"  # behind the last chunk
BOUND_S = 30.0


class Connection:
    """One client, and what it asked for."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        client.settimeout(BOUND_S)
        self.request = self._read_head()

    @property
    def line(self) -> str:
        return self.request.partition("\r\n")[0]

    def header(self, name: str) -> str:
        lines = (line.partition(":") for line in self.request.split("\r\n"))
        return next((value.strip() for one, _, value in lines if one.lower() == name), "")

    def say(self, text: str | bytes) -> None:
        self._client.sendall(text.encode() if isinstance(text, str) else text)

    def chunk(self, text: str) -> None:
        self.say(f"{len(text.encode()):x}\r\n{text}\r\n")

    def wait_gone(self) -> None:
        """Until the client has left."""
        with suppress(OSError):
            while self._client.recv(1024):
                pass

    def _read_head(self) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._client.recv(65_536)
            if not piece:
                break
            data += piece
        return data.decode("latin-1")


@contextmanager
def server(answer: Callable[[Connection], None]) -> Iterator[str]:
    """Its URL. `answer` runs once a connection, in a thread; the connection is closed after it."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError):
                answer(Connection(client))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=serve, args=[listener.accept()[0]]))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/stream"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join(BOUND_S)
    for thread in threads:
        thread.join(BOUND_S)
