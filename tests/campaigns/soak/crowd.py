"""Clients that come and go, in one selector loop: what each was sent has to be without a hole.

Only one writer inserts, so that ids have no gaps: whoever began after row n has to be sent n + 1,
n + 2 and so on, over however many connections, wherever it stops.
"""

import random
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.harness.sse import ABOUT_ITSELF, LINGER_AND_RESET, Response, request_head

READ_BYTES = 65_536
CONNECT_TIMEOUT_S = 15.0
SMALL_BUFFER_BYTES = 4_096
SLOW_READ_BYTES = 512
SLOW_READ_EVERY_S = 0.2
ROWS_BACK = 500  # from where slow clients resume, so that there is something to be slow about
RESETS = 0.3  # of those who leave: by RST, as if the network went
STAY_S = (0.2, 6.0)

# Of a hundred who come. The others are there from the beginning, and come back when they left.
SLOW, NEVER_READS = 5, 2
STAYERS = 10
RETURNERS = 20


@dataclass(eq=False)
class Client:
    """One that reads; `expected` is the id of the next row, None before its first frame."""

    kind: str
    last_event_id: str | None = None
    expected: int | None = None
    rows: int = 0
    wrong: str = ""
    leaves_s: float = 0.0
    reads_s: float = 0.0  # when a slow one reads again
    connection: socket.socket | None = None
    response: Response = field(default_factory=lambda: Response(keep_raw=False))

    def take(self, data: bytes) -> None:
        self.response.feed(data)
        parser = self.response.parser
        for event in parser.events:
            if event.type in ABOUT_ITSELF:
                continue
            if event.type != "message":
                self.wrong = self.wrong or f"{event.type}: {event.data}"
                continue
            row_id = int(event.json["id"])
            if self.expected is None:  # the priming id came in the same piece, or before
                self.expected = row_id
            if row_id != self.expected:
                self.wrong = self.wrong or f"row {row_id} in place of {self.expected}"
            self.expected = row_id + 1
            self.rows += 1
        parser.events.clear()
        if parser.last_event_id:
            self.last_event_id = parser.last_event_id
            if self.expected is None:
                self.expected = position(parser.last_event_id) + 1


class Crowd:
    """Everybody who is there. Nothing happens outside `run()`."""

    def __init__(self, url: str, connects_per_s: float, seed: int = 1) -> None:
        parts = urlsplit(url)
        self.url = url
        self.connects = 0
        self.rows = 0
        self.wrong: Counter[str] = Counter()
        self.here: set[Client] = set()
        self._address = (parts.hostname, parts.port or 80)
        self._every_s = 1 / connects_per_s
        self._chosen = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._due_s = time.monotonic()
        self._away: list[Client] = []

    def begin(self) -> None:
        """Those who stay, and those who come back, connect for the first time."""
        for kind, count in (("stayer", STAYERS), ("returner", RETURNERS)):
            for _ in range(count):
                self._come(Client(kind))

    def run(self, seconds: float, also: Callable[[], None], *, arrivals: bool = True) -> None:
        """Serves everybody for so long, calling `also` each time round."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            also()
            if arrivals:
                self._let_come()
            for key, _ in self._selector.select(0.01):
                self._read(key.data, READ_BYTES)
            self._look_after(arrivals)

    def all_come_back(self) -> None:
        """Those who are away and belong to those who read to the end."""
        while self._away:
            self._come(self._away.pop())

    def all_have(self, row_id: int) -> bool:
        """Whether those who read to the end have this row."""
        faithful = [one for one in self.here if one.kind in ("stayer", "returner")]
        return len(faithful) == STAYERS + RETURNERS and all(
            one.expected == row_id + 1 for one in faithful
        )

    def end(self) -> None:
        for client in [*self.here]:
            self._go(client)
        self._selector.close()

    def _let_come(self) -> None:
        while self._due_s <= time.monotonic():
            self._due_s += self._every_s
            self._come(self._away.pop(0) if self._away else self._newcomer())

    def _newcomer(self) -> Client:
        lot = self._chosen.randrange(100)
        kind = "slow" if lot < SLOW else "never reads" if lot < SLOW + NEVER_READS else "passer"
        known = next((one.last_event_id for one in self.here if one.last_event_id), None)
        if kind == "passer" or known is None:
            return Client("passer")
        start = max(0, position(known) - ROWS_BACK)
        return Client(kind, f"{known.partition('.')[0]}.{start}", start + 1)

    def _come(self, client: Client) -> None:
        now_s = time.monotonic()
        client.response = Response(keep_raw=False)
        client.leaves_s = now_s + self._chosen.uniform(*STAY_S)
        client.connection = socket.socket()
        if client.kind in ("slow", "never reads"):
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        client.connection.settimeout(CONNECT_TIMEOUT_S)
        client.connection.connect(self._address)
        client.connection.sendall(request_head(self.url, client.last_event_id))
        client.connection.setblocking(False)
        if client.kind not in ("slow", "never reads"):
            self._selector.register(client.connection, selectors.EVENT_READ, client)
        self.here.add(client)
        self.connects += 1

    def _read(self, client: Client, size: int) -> None:
        assert client.connection is not None
        try:
            data = client.connection.recv(size)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        before = client.rows
        client.take(data)
        self.rows += client.rows - before
        if not data:
            client.wrong = client.wrong or f"{client.kind}: ended by the server"
            self._go(client)

    def _look_after(self, arrivals: bool) -> None:
        now_s = time.monotonic()
        for client in [*self.here]:
            if client.kind == "slow" and client.reads_s <= now_s:
                client.reads_s = now_s + SLOW_READ_EVERY_S
                self._read(client, SLOW_READ_BYTES)
            leaving = client.kind != "stayer" and client.leaves_s <= now_s and client in self.here
            if leaving and (arrivals or client.kind != "returner"):
                self._go(client)

    def _go(self, client: Client) -> None:
        self.here.discard(client)
        assert client.connection is not None
        with suppress(KeyError):
            self._selector.unregister(client.connection)
        if self._chosen.random() < RESETS:
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
        client.connection.close()
        client.connection = None
        if client.response.status not in (None, 200):
            client.wrong = client.wrong or f"status {client.response.status}"
        if client.wrong:
            self.wrong[client.wrong] += 1
            client.wrong = ""
        if client.kind == "returner":
            self._away.append(client)


def position(event_id: str) -> int:
    """Of the cursor in an event's id; there are no gaps here."""
    return int(event_id.partition(".")[2])
