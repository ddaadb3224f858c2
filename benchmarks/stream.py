"""One stream of the load client: how it connects, and what the bytes that it gets say.

Knows HTTP and SSE, not the product's encoder. The order of fields, the names of events, chunking
and the pieces in which bytes arrive may differ between two versions that are compared; the counts
must not.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

from benchmarks.payload import MARKER

STREAMS_PER_ADDRESS = 50  # a server may cap streams per client address
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, for the address pair
RETRY_S = 2.0  # of a stream that was told nothing
# Of a stream that trickles. With the usual buffer its kernel would tell the server only once a
# minute that something was read.
TRICKLE_BUFFER_BYTES = 4096
BLANK_LINE = b"\n\n"
ID = re.compile(rb"^id(?:: ?(.*))?$", re.MULTILINE)
RETRY = re.compile(rb"^retry: ?(\d+)$", re.MULTILINE)
RESET = re.compile(rb"^event: ?reset$", re.MULTILINE)


class Body:
    """The body of one HTTP/1.1 answer (RFC 9112, section 7.1 where it is chunked)."""

    def __init__(self, *, chunked: bool) -> None:
        self.ended = False  # the last chunk has come
        self._chunked = chunked
        self._rest = b""  # a size line that was cut
        self._left = 0  # bytes of the current chunk that have not come

    def take(self, data: bytes) -> bytes:
        """The bytes of the body in this piece of the answer."""
        if not self._chunked:
            return data
        data, at, parts = self._rest + data, 0, []
        while at < len(data) and not self.ended:
            if self._left:
                parts.append(data[at : at + self._left])
                at += len(parts[-1])
                self._left -= len(parts[-1])
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            if line := data[at:end]:  # an empty one ends the chunk before it
                self._left = int(line.split(b";")[0], 16)
                self.ended = not self._left
            at = end + 2
        self._rest = data[at:]
        return b"".join(parts)


@dataclass(frozen=True)
class Events:
    """What whole events said, in one piece of a stream: `text`."""

    text: bytes
    rows: int
    resets: int
    last_id: bytes | None
    retry_ms: int | None


class EventStream:
    """The events of one stream (WHATWG HTML, section 9.2.6). An event that was cut off counts for
    nothing: it comes again after the client has reconnected."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> Events:
        """The events that are complete with these bytes."""
        data = self._rest + data
        if b"\r" in data[:-1]:  # the last byte may be half of CR LF
            data = data[:-1].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + data[-1:]
        whole, blank, self._rest = data.rpartition(BLANK_LINE)
        if not blank:
            return Events(b"", 0, 0, None, None)
        # The plain searches first: a reload is a million rows a second.
        retries = RETRY.findall(whole) if b"retry" in whole else []
        return Events(
            text=whole,
            rows=whole.count(MARKER),
            resets=len(RESET.findall(whole)) if b"reset" in whole else 0,
            last_id=_last_id(whole),
            retry_ms=int(retries[-1]) if retries else None,
        )


def _last_id(events: bytes) -> bytes | None:
    """Of the last one that has an id."""
    ids = ID.findall(events, max(0, events.rfind(b"\nid"))) or ID.findall(events)
    return ids[-1] if ids else None


class Stream:
    """One client. `mode` says how it reads:

    normal: everything at once. exact: whole events only, and it reconnects with its last id when
    its stream ends. trickle: as exact, 1 KB/s. never: not at all.
    """

    __slots__ = (
        "address", "body", "events", "fd", "head", "heard_s", "last_id", "lost_s", "mode", "number",
        "numbers", "opened", "retry_s", "rows", "sampled", "silence_s", "socket",
    )  # fmt: skip

    def __init__(self, number: int, mode: str, *, sampled: bool) -> None:
        self.number, self.mode, self.sampled = number, mode, sampled
        self.address = _address(number)
        self.opened = False
        self.fd = 0
        self.last_id = b""
        self.retry_s = RETRY_S
        self.lost_s: float | None = None
        self.begin_again(time.monotonic())

    def begin_again(self, now_s: float) -> None:
        """Count from zero."""
        self.rows = 0
        self.heard_s, self.silence_s = now_s, 0.0  # the longest time without a byte
        self.numbers: set[bytes] = set()  # of the rows, of a stream that is sampled and exact

    def hear(self, now_s: float) -> None:
        """Something came."""
        self.silence_s = max(self.silence_s, now_s - self.heard_s)
        self.heard_s = now_s

    def connect(self, target: tuple[str, int]) -> None:
        """Begins to connect; the descriptor is `fd`."""
        link = self.socket = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if self.mode == "trickle":
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TRICKLE_BUFFER_BYTES)
        link.bind((self.address, 0))
        link.connect_ex(target)
        self.fd = link.fileno()
        self.head = b""
        self.body, self.events = Body(chunked=False), EventStream()

    def answered(self, data: bytes) -> bytes | None:
        """What came of the body behind the head; None until there is any.

        Raises ConnectionRefusedError, with the status line, for an answer that is no stream.
        """
        self.head += data
        head, end, rest = self.head.partition(b"\r\n\r\n")
        if not end or not rest:
            return None
        status, *fields = head.lower().split(b"\r\n")
        if b" 200 " not in status + b" ":
            raise ConnectionRefusedError(status.decode("latin-1"))
        chunked = any(one.startswith(b"transfer-encoding:") and b"chunked" in one for one in fields)
        self.body = Body(chunked=chunked)
        return rest


def _address(number: int) -> str:
    """Of the loopback network; a new one after every `STREAMS_PER_ADDRESS` streams."""
    block = number // STREAMS_PER_ADDRESS
    return f"127.1.{block // 250}.{block % 250 + 1}"
