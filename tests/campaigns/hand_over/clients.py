"""Thousands of clients that check each row, for little CPU.

They ask by HTTP/1.0, so that the body has no chunks, and expect ids without gaps: then the first
and the last id of what came, and how many there are, tell whether all did.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.harness.swarm import allow_descriptors

ROW = b'data: {"id":'
IDS = re.compile(rb'data: \{"id":(\d+)')
TOKEN = re.compile(rb"\nid: (\S+)\n")
RETRY_S = 1.0
AT_ONCE = 100  # connects, below the listen backlog of a worker that starts
READ_BYTES = 1 << 18


@dataclass
class Client:
    """One, over all its connections. `last` is the newest row that it has."""

    last: int
    token: str = ""
    connections: int = 0
    lost: int = 0
    doubled: int = 0
    cut: int = 0
    rows: int = 0
    heard_at: float = 0.0
    silence_s: float = 0.0
    rest: bytes = b""
    in_head: bool = True
    live: bool = False
    due_s: float = 0.0
    socket: socket.socket | None = None

    def take(self, data: bytes) -> None:
        """Bytes of the response; frames that came whole are checked."""
        data = self.rest + data
        if self.in_head:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.rest = head
                return
            self.in_head = False
        whole, end, self.rest = data.rpartition(b"\n\n")
        if end:
            self._check(b"\n" + whole + end)

    def _check(self, whole: bytes) -> None:
        if tokens := TOKEN.findall(whole, whole.rfind(b"\nid: ")):
            self.token, self.live = tokens[-1].decode(), True
        if not (count := whole.count(ROW)):
            return
        now = time.monotonic()
        if self.heard_at:
            self.silence_s = max(self.silence_s, now - self.heard_at)
        self.heard_at = now
        self.rows += count
        first, last = _id_at(whole, whole.find(ROW)), _id_at(whole, whole.rfind(ROW))
        if first == self.last + 1 and last == self.last + count:
            self.last = last
        else:
            self._compare([int(one) for one in IDS.findall(whole)])

    def _compare(self, ids: list[int]) -> None:
        for row_id in ids:
            self.doubled += row_id <= self.last
            self.lost += max(0, row_id - self.last - 1)
            self.last = max(self.last, row_id)

    def ended(self) -> None:
        self.cut += bool(self.rest.strip(b"\n")) and not self.in_head and _is_a_frame(self.rest)
        self.rest, self.in_head, self.live, self.heard_at = b"", True, False, 0.0


def _id_at(data: bytes, place: int) -> int:
    end = data.find(b",", place)
    return int(data[place + len(ROW) : end])


def _is_a_frame(rest: bytes) -> bool:
    """Not the line of a farewell, which stands alone."""
    return not re.fullmatch(rb"retry: \d+\n?", rest)


class Clients:
    """`count` of them; nothing happens outside `until()`."""

    def __init__(self, url: str, count: int, last: int) -> None:
        allow_descriptors(count + 200)
        parts = urlsplit(url)
        self._address, self._path = (str(parts.hostname), parts.port or 80), parts.path
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Client] = {}
        self._waiting = [Client(last) for _ in range(count)]
        self.all = [*self._waiting]

    def until(self, fact: Callable[[], object], within_s: float, what: str) -> None:
        end = time.monotonic() + within_s
        while not fact():
            assert time.monotonic() < end, f"not within {within_s} s: {what}; {self.told()}"
            self._connect()
            for descriptor, _ in self._poll.poll(0.02):
                self._read(self._by_descriptor[descriptor])

    def open(self, within_s: float = 300) -> None:
        self.until(lambda: all(one.live for one in self.all), within_s, "all are open")

    @property
    def reconnects(self) -> int:
        return sum(one.connections - 1 for one in self.all)

    def told(self) -> dict[str, float]:
        """What they saw."""
        return {
            "reconnects": self.reconnects,
            "lost": sum(one.lost for one in self.all),
            "doubled": sum(one.doubled for one in self.all),
            "cut": sum(one.cut for one in self.all),
            "rows": sum(one.rows for one in self.all),
            "longest_silence_s": round(max(one.silence_s for one in self.all), 3),
        }

    def calm(self) -> None:
        """Forget how long the silences were."""
        for one in self.all:
            one.silence_s = 0.0

    def close(self) -> None:
        for one in self._by_descriptor.values():
            if one.socket is not None:
                one.socket.close()
        self._poll.close()

    def _connect(self) -> None:
        now = time.monotonic()
        due = [one for one in self._waiting if one.due_s <= now][:AT_ONCE]
        for client in due:
            self._waiting.remove(client)
            try:
                connected = socket.create_connection(self._address, timeout=30)
                token = f"Last-Event-ID: {client.token}\r\n" if client.token else ""
                asked = f"GET {self._path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{token}\r\n"
                connected.sendall(asked.encode())
            except OSError:
                self._lose(client)
                continue
            connected.setblocking(False)
            client.socket, client.connections = connected, client.connections + 1
            self._by_descriptor[connected.fileno()] = client
            self._poll.register(connected, select.EPOLLIN)

    def _read(self, client: Client) -> None:
        assert client.socket is not None
        try:
            data = client.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            client.take(data)
            return
        client.ended()
        del self._by_descriptor[client.socket.fileno()]
        self._poll.unregister(client.socket)
        client.socket.close()
        self._lose(client)

    def _lose(self, client: Client) -> None:
        client.socket, client.due_s = None, time.monotonic() + RETRY_S
        self._waiting.append(client)
