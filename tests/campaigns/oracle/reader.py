"""A client's connection that writes down every frame; and the client's memory between connections.

As a browser does, it keeps the id of the last *complete* event and sends it when it comes back: a
frame that was cut in the middle counts as not received.
"""

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.campaigns.oracle.journal import Journal, client_path
from tests.campaigns.oracle.records import Connection, Frame, now_s, payload_of
from tests.harness.sse import (
    ABOUT_ITSELF,
    LINGER_AND_RESET,
    READ_BYTES,
    Event,
    Parser,
    Response,
    request_head,
)

CONNECT_TIMEOUT_S = 5.0
DEFAULT_RETRY_MS = 300
ROWS_FOR_AN_ID = 100  # in a brief journal
# What makes the kernel hold back little for a client that does not read: else megabytes would go
# before the server noticed.
SMALL_RECEIVE_BUFFER_BYTES = 4_096
SMALL_SEGMENT_BYTES = 536


class Memory:
    """What one client knows and writes down, over all its connections.

    A `brief` one leaves out most event ids: there may be a million, of a thousand characters each.
    """

    def __init__(
        self, folder: Path, name: str, last_event_id: str | None = None, *, brief: bool = False
    ) -> None:
        self.name = name
        self._brief = brief
        self.last_event_id = last_event_id
        self.retry_ms = DEFAULT_RETRY_MS
        self.payloads: set[str] = set()
        self.resets = 0
        self.connections = 0
        self._journal = Journal(client_path(folder, name))

    def connect(self, server: str, *, prompt: bool = True) -> None:
        """Write down that a connection begins."""
        self.connections += 1
        self._journal.write(
            Connection(self.connections, server, self.last_event_id, now_s(), prompt)
        )

    def take(self, kind: str, data: str, last_event_id: str, row: Callable[[], object]) -> None:
        """Write down one complete frame. `row` parses the data of a row."""
        if kind in ABOUT_ITSELF and not last_event_id:
            return  # a reset follows, which says where the stream begins
        self.last_event_id = last_event_id or self.last_event_id
        frame = Frame(self.connections, "place", now_s(), self.last_event_id or "")
        if kind == "reset":
            self.resets += 1
            frame = Frame(self.connections, "reset", frame.at_s, frame.event_id, reason=data)
        elif kind not in ABOUT_ITSELF and data:
            values = row()
            assert isinstance(values, dict)
            payload = payload_of(str(values.get("body", data)))
            self.payloads.add(payload)
            row_id = int(values["id"])
            event_id = frame.event_id
            if self._brief and len(self.payloads) % ROWS_FOR_AN_ID:
                event_id = ""
            frame = Frame(self.connections, "row", frame.at_s, event_id, row_id, payload)
        self._journal.write(frame)

    def close(self) -> None:
        self._journal.close()


class FrameParser(Parser):
    """Hands each frame on when it is complete, also one with nothing but an id."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def _dispatch(self) -> None:
        had = self.last_event_id
        super()._dispatch()
        if self.events:
            event = self.events.pop()
            self._memory.take(event.type, event.data, event.last_event_id, lambda: _json(event))
        elif self.last_event_id != had:
            self._memory.take("place", "", self.last_event_id, dict)
        if self.retry is not None:
            self._memory.retry_ms = self.retry


class Reader:
    """One connection of a client. Raises OSError where it cannot be opened."""

    def __init__(
        self, memory: Memory, url: str, *, small: bool = False, prompt: bool = True
    ) -> None:
        parts = urlsplit(url)
        self.ended = False
        memory.connect(parts.netloc, prompt=prompt)
        self._response = Response(keep_raw=False)
        self._response.parser = FrameParser(memory)
        self._socket = socket.socket()
        if small:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_RECEIVE_BUFFER_BYTES)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT_BYTES)
        self._socket.settimeout(CONNECT_TIMEOUT_S)
        try:
            self._socket.connect((parts.hostname, parts.port))
            self._socket.sendall(request_head(url, memory.last_event_id))
        except OSError:
            self.close()
            raise

    @property
    def placed(self) -> bool:
        """Whether the server said where this connection stands."""
        return bool(self._response.parser.last_event_id)

    def read(self, timeout_s: float, most_bytes: int = READ_BYTES) -> None:
        """Takes what has come, waiting for the first byte of it at most `timeout_s`."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return
        data = b""
        with suppress(OSError):
            data = self._socket.recv(most_bytes)
        self._response.feed(data)
        self.ended = not data or self._response.complete

    def close(self) -> None:
        self._socket.close()

    def cut(self) -> None:
        """Goes away without a word, as a client that lost its network."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
        self._socket.close()


def _json(event: Event) -> object:
    return event.json
