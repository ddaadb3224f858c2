"""Many event streams at one server, read by one selector loop in the test's own thread.

A member that loses its stream comes back like EventSource does: after the server's `retry`, with
the last id it has.
"""

import errno
import resource
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.harness.sse import READ_BYTES, Response, request_head

SPARE_DESCRIPTORS = 200
DEFAULT_RETRY_MS = 2_000
CONNECTING_AT_ONCE = 200  # below any listen backlog, so that a slow machine refuses none


@dataclass
class Member:
    """One client of the swarm, over all its connections."""

    last_event_id: str | None
    ids: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    received_s: list[float] = field(default_factory=list)
    resets: int = 0
    connections: int = 0
    primed: bool = False
    lost_s: float | None = None
    retry_ms: int = DEFAULT_RETRY_MS
    statuses: list[int] = field(default_factory=list)
    connection: socket.socket | None = None
    response: Response = field(default_factory=lambda: Response(keep_raw=False))

    @property
    def due_s(self) -> float:
        """When it may connect again."""
        return 0.0 if self.lost_s is None else self.lost_s + self.retry_ms / 1_000


class Swarm:
    """`count` streams; nothing happens outside `run_until`."""

    def __init__(
        self, url: str, count: int, last_event_id: str | None = None, *, reconnect: bool = True
    ) -> None:
        allow_descriptors(count + SPARE_DESCRIPTORS)
        parts = urlsplit(url)
        self._url = url
        self._address = (parts.hostname, parts.port or 80)
        self._reconnect = reconnect
        self._selector = selectors.DefaultSelector()
        self._waiting: list[Member] = []
        self._connecting = 0
        self.members = [Member(last_event_id) for _ in range(count)]
        self._waiting += self.members

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def primed(self) -> int:
        """Members whose open stream has said its first id."""
        return sum(member.primed for member in self.members)

    def open(self, timeout_s: float = 60) -> Self:
        self.run_until(lambda: self.primed == len(self.members), timeout_s, "all streams open")
        return self

    def wait_for_id(self, row_id: int, timeout_s: float = 30) -> None:
        """Until every member has received this row."""

        def all_have_it() -> bool:
            return all(row_id in member.ids[-1_000:] for member in self.members)

        self.run_until(all_have_it, timeout_s, f"row {row_id} at every stream")

    def run_until(self, fact: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Serves every stream until `fact()`; AssertionError with the state after `timeout_s`."""
        end_s = time.monotonic() + timeout_s
        while not fact():
            assert time.monotonic() < end_s, f"not within {timeout_s} s: {what}\n{self}"
            self._connect_due()
            for key, events in self._selector.select(0.05):
                self._serve(key.data, events)

    def close(self) -> None:
        for member in self.members:
            if member.connection is not None:
                self._selector.unregister(member.connection)
                member.connection.close()
                member.connection = None
        self._selector.close()

    def _connect_due(self) -> None:
        now_s = time.monotonic()
        for member in [one for one in self._waiting if one.due_s <= now_s]:
            if self._connecting >= CONNECTING_AT_ONCE:
                break
            self._waiting.remove(member)
            self._connect(member)

    def _connect(self, member: Member) -> None:
        member.connection = socket.socket()
        member.connection.setblocking(False)
        member.response = Response(keep_raw=False)
        self._connecting += 1
        code = member.connection.connect_ex(self._address)
        assert code in (0, errno.EINPROGRESS), errno.errorcode[code]
        self._selector.register(member.connection, selectors.EVENT_WRITE, member)

    def _serve(self, member: Member, events: int) -> None:
        assert member.connection is not None
        try:
            if events & selectors.EVENT_WRITE:
                member.connection.sendall(request_head(self._url, member.last_event_id))
                self._selector.modify(member.connection, selectors.EVENT_READ, member)
                self._connecting -= 1
                member.connections += 1
                return
            data = member.connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
            self._connecting -= bool(events & selectors.EVENT_WRITE)
        if data:
            self._take(member, data)
        if not data or member.response.complete:
            self._lose(member)

    def _take(self, member: Member, data: bytes) -> None:
        response = member.response
        known = response.status is not None
        response.feed(data)
        if not known and response.status is not None:
            member.statuses.append(response.status)
        parser = response.parser
        for event in parser.events:
            if event.type == "message":
                member.ids.append(int(event.json["id"]))
                member.received_s.append(event.received_s)
            elif event.type == "delete":
                member.deleted.append(int(event.json["id"]))
            member.resets += event.type == "reset"
        parser.events.clear()
        if parser.retry is not None:
            member.retry_ms = parser.retry
        if parser.last_event_id:
            member.last_event_id, member.primed = parser.last_event_id, True

    def _lose(self, member: Member) -> None:
        assert member.connection is not None
        self._selector.unregister(member.connection)
        member.connection.close()
        member.connection, member.primed, member.lost_s = None, False, time.monotonic()
        if self._reconnect:
            self._waiting.append(member)

    def __str__(self) -> str:
        counts = [len(member.ids) for member in self.members]
        statuses = sorted({status for member in self.members for status in member.statuses})
        return (
            f"{len(self.members)} streams: {self.primed} open, {len(self._waiting)} waiting to"
            f" connect, rows {min(counts)}…{max(counts)}, statuses {statuses},"
            f" resets {sum(member.resets for member in self.members)}"
        )


def allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        with suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
