"""The load client: one epoll loop that holds many streams and counts the rows it gets.

A process of its own (`python -m benchmarks.client HOST PORT PATH`), driven by JSON lines on its
standard input, one answer each; `load.py` is the other end. A row costs it one `recv` and the
count of a byte; times are read on a sample of the streams. It says what CPU it took, so that a
report can show that it was not what was measured.

It looks for what came every millisecond, and never waits in epoll. For whoever sends to one that
waits has to wake it, which on a virtual machine costs more than the send; a server whose clients
are elsewhere has no such cost, and a slow one would pay it more often than a quick one.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import select
import socket
import sys
import time
from array import array
from typing import Any

from benchmarks.measure import quantile
from benchmarks.payload import MARKER, TIME

BUFFER_BYTES = 2**20
MANY = 200  # events at once: then there are more already
LOOK_S = 0.001  # between two looks; latencies are exact to that
CONNECTING_AT_ONCE = 100  # below any listen backlog, so that no connect is repeated after a second
STREAMS_PER_ADDRESS = 50  # a server may cap streams per client address
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: a port is taken for the pair of addresses, at connect
RETRY_S = 2.0  # of a stream that was told nothing
TRICKLE_BYTES_PER_S = 1024
# Of a stream that trickles: with the usual one, its kernel would tell the server only once a minute
# that something was read.
TRICKLE_BUFFER_BYTES = 4096
LAST_ID = re.compile(rb"id: (\S+)\n")
RETRY = re.compile(rb"retry: (\d+)\n")


class Stream:
    """One client. `mode` says how it reads:

    normal: all at once. exact: all at once, whole frames only, and it comes back with its last id
    when its stream ends. trickle: as exact, 1 KB/s. never: not at all.
    """

    __slots__ = (
        "address", "fd", "last_id", "lost_s", "mode", "number", "opened", "retry_s", "rows",
        "sampled", "socket", "tail",
    )  # fmt: skip

    def __init__(self, number: int, mode: str, *, sampled: bool) -> None:
        self.number, self.mode, self.sampled = number, mode, sampled
        self.address = _address(number)
        self.opened = False
        self.rows = self.fd = 0
        self.last_id = b""
        self.tail = b""
        self.retry_s = RETRY_S
        self.lost_s: float | None = None
        self.socket: socket.socket | None = None


class Client:
    """All streams to one server, and what they got since `mark`."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._target = (host, port)
        self._head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n"
        self._epoll = select.epoll()
        self._epoll.register(0, select.EPOLLIN)
        self._buffer = bytearray(BUFFER_BYTES)
        self._streams: list[Stream] = []
        self._by_fd: dict[int, Stream] = {}
        self._due: list[tuple[float, int]] = []  # when to connect again, and which stream
        self._to_connect: list[Stream] = []
        self._connecting = 0
        self._opened = 0
        self._trickle_due_s = 0.0
        self._first_byte = True
        self._waits: tuple[str, int, float] | None = None  # what for, how many, until when
        self._commands = b""
        self._errors: dict[str, int] = {}
        self._mark()

    # -- commands -----------------------------------------------------------------------------

    def run(self) -> None:
        """Until the driver closes our standard input."""
        while True:
            came = self._epoll.poll(0)
            for fd, event in came:
                if fd:
                    self._serve(self._by_fd[fd], event)
                elif not self._read_commands():
                    return
            self._connect_more()
            self._trickle()
            self._answer_wait()
            if len(came) < MANY:
                time.sleep(LOOK_S)

    def _read_commands(self) -> bool:
        data = os.read(0, 65_536)
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return bool(data)

    def _obey(self, command: dict[str, Any]) -> None:
        match command.pop("do"):
            case "open":
                self._open(**command)
            case "wait":
                self._waits = ("rows", command["rows"], time.monotonic() + command["timeout_s"])
            case "wait_each":
                self._waits = ("each", command["rows"], time.monotonic() + command["timeout_s"])
            case "wait_open":
                self._waits = ("open", command["count"], time.monotonic() + command["timeout_s"])
            case "mark":
                self._mark()
                _say({})
            case "read_all":
                self._read_all()
                _say({})
            case "report":
                _say(self._report())

    def _open(
        self, count: int, mode: str, sample: int, timeout_s: float, *, first_byte: bool
    ) -> None:
        self._first_byte = first_byte
        begin = len(self._streams)
        for number in range(begin, begin + count):
            stream = Stream(number, mode, sampled=number % sample == 0)
            self._streams.append(stream)
            self._to_connect.append(stream)
        self._to_connect.reverse()
        self._waits = ("open", begin + count, time.monotonic() + timeout_s)

    def _answer_wait(self) -> None:
        if self._waits is None:
            return
        what, wanted, until_s = self._waits
        if what == "each":
            have = min((one.rows for one in self._streams), default=0)
        else:
            have = self._opened if what == "open" else self._rows
        if have >= wanted or time.monotonic() > until_s:
            self._waits = None
            _say({"have": have, "errors": self._errors})

    def _mark(self) -> None:
        self._rows = self._bytes = self._reads = self._lost = self._resets = 0
        self._latency_ns = array("q")
        self._rounds: dict[int, list[int]] = {}  # time sent -> time first and last received
        self._away_s: list[float] = []
        self._marked = (time.monotonic(), time.process_time())
        for stream in self._streams:
            stream.rows = 0

    def _report(self) -> dict[str, Any]:
        wall_s, cpu_s = time.monotonic() - self._marked[0], time.process_time() - self._marked[1]
        latency_ms = [ns / 1e6 for ns in self._latency_ns]
        spread_ms = [(last - first) / 1e6 for first, last in self._rounds.values()]
        counts = [one.rows for one in self._streams]
        return {
            "rows": self._rows,
            "least": min(counts, default=0),
            "most": max(counts, default=0),
            "bytes": self._bytes,
            "reads": self._reads,
            "lost": self._lost,
            "resets": self._resets,
            "open": self._opened,
            "samples": len(latency_ms),
            "p50_ms": quantile(latency_ms, 0.5),
            "p99_ms": quantile(latency_ms, 0.99),
            "max_ms": max(latency_ms, default=0.0),
            "spread_ms": quantile(spread_ms, 0.5),
            "away_s": max(self._away_s, default=0.0),
            "came_back": len(self._away_s),
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "errors": self._errors,
        }

    # -- streams ------------------------------------------------------------------------------

    def _connect_more(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            self._to_connect.append(self._streams[heapq.heappop(self._due)[1]])
        while self._to_connect and self._connecting < CONNECTING_AT_ONCE:
            self._connect(self._to_connect.pop())

    def _connect(self, stream: Stream) -> None:
        link = stream.socket = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        if stream.mode == "trickle":
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TRICKLE_BUFFER_BYTES)
        link.bind((stream.address, 0))
        link.connect_ex(self._target)
        stream.fd = link.fileno()
        self._by_fd[stream.fd] = stream
        self._connecting += 1
        self._epoll.register(stream.fd, select.EPOLLOUT)

    def _ask(self, stream: Stream) -> None:
        assert stream.socket is not None
        resume = b"Last-Event-ID: " + stream.last_id + b"\r\n" if stream.last_id else b""
        stream.socket.send(self._head.encode() + resume + b"\r\n")
        self._epoll.modify(stream.fd, select.EPOLLIN)
        if not self._first_byte:
            self._opens(stream)

    def _serve(self, stream: Stream, event: int) -> None:
        assert stream.socket is not None
        try:
            if event & select.EPOLLOUT:
                return self._ask(stream)
            size = stream.socket.recv_into(self._buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            size = 0
            self._error(type(error).__name__)
        if not size:
            return self._lose(stream)
        if not stream.opened:
            return self._begin(stream, bytes(self._buffer[:size]))
        self._bytes += size
        self._reads += 1
        if stream.mode != "normal":
            return self._take_exactly(stream, bytes(self._buffer[:size]))
        if rows := self._buffer.count(MARKER, 0, size):
            stream.rows += rows
            self._rows += rows
            if stream.sampled:
                self._time(size)
        return None

    def _time(self, size: int) -> None:
        now_ns = time.monotonic_ns()
        for found in TIME.findall(self._buffer, 0, size):
            sent_ns = int(found)
            self._latency_ns.append(now_ns - sent_ns)
            span = self._rounds.setdefault(sent_ns, [now_ns, now_ns])
            span[1] = now_ns

    def _begin(self, stream: Stream, data: bytes) -> None:
        """The answer's head, and the first bytes of its body: then the stream is open."""
        stream.tail += data
        head, end, body = stream.tail.partition(b"\r\n\r\n")
        if not end or not body:
            return
        if b" 200 " not in head.split(b"\r\n")[0]:
            self._error(head.split(b"\r\n")[0].decode("latin-1"))
            return
        stream.tail = b""
        self._opens(stream)
        self._take_exactly(stream, body)

    def _opens(self, stream: Stream) -> None:
        stream.opened = True
        self._opened += 1
        self._connecting -= 1
        if stream.lost_s is not None:
            self._away_s.append(time.monotonic() - stream.lost_s)
            stream.lost_s = None
        if stream.mode in ("never", "trickle"):
            self._epoll.unregister(stream.fd)

    def _take_exactly(self, stream: Stream, data: bytes) -> None:
        """Counts rows of whole frames only: what was cut off comes again after the reconnect."""
        whole, end, stream.tail = (stream.tail + data).rpartition(b"\n\n")
        if not end:
            return
        rows = whole.count(MARKER)
        stream.rows += rows
        self._rows += rows
        self._resets += whole.count(b"event: reset")
        ids, retries = LAST_ID.findall(whole + b"\n"), RETRY.findall(whole + b"\n")
        stream.last_id = ids[-1] if ids else stream.last_id
        stream.retry_s = int(retries[-1]) / 1000 if retries else stream.retry_s

    def _lose(self, stream: Stream) -> None:
        assert stream.socket is not None
        if stream.fd in self._by_fd:
            del self._by_fd[stream.fd]
        stream.socket.close()
        self._connecting -= not stream.opened
        self._opened -= stream.opened
        self._lost += 1
        stream.opened, stream.tail = False, b""
        stream.lost_s = time.monotonic() if stream.lost_s is None else stream.lost_s
        if stream.mode in ("exact", "trickle"):
            heapq.heappush(self._due, (time.monotonic() + stream.retry_s, stream.number))

    def _trickle(self) -> None:
        if time.monotonic() < self._trickle_due_s:
            return
        self._trickle_due_s = time.monotonic() + 1
        for stream in self._streams:
            if stream.mode != "trickle" or not stream.opened:
                continue
            assert stream.socket is not None
            try:
                data = stream.socket.recv(TRICKLE_BYTES_PER_S)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self._take_exactly(stream, data)
            else:
                self._lose(stream)

    def _read_all(self) -> None:
        """From now on slow streams read like the others, and come back."""
        for stream in self._streams:
            if stream.mode in ("never", "trickle"):
                stream.mode = "exact"
                if stream.opened:
                    self._epoll.register(stream.fd, select.EPOLLIN)

    def _error(self, what: str) -> None:
        self._errors[what] = self._errors.get(what, 0) + 1


def _address(number: int) -> str:
    """Of the loopback network, another one after each `STREAMS_PER_ADDRESS` streams."""
    block = number // STREAMS_PER_ADDRESS
    return f"127.1.{block // 250}.{block % 250 + 1}"


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Client(sys.argv[1], int(sys.argv[2]), sys.argv[3]).run()
