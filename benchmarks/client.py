"""The load client: one epoll loop that holds many streams and counts the rows they get.

A process of its own (`python -m benchmarks.client HOST PORT PATH HEADERS…`). It takes commands as
JSON lines on standard input and gives one answer to each; `load.py` is the other end. A row costs
it one `recv` and the count of a byte. Times are read on a sample of the streams.

It looks at its sockets every millisecond and never waits in epoll. A sender has to wake a receiver
that waits, which on a virtual machine costs more than the send. Servers whose clients are elsewhere
have no such cost.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import sys
import time
from array import array
from typing import Any

from benchmarks.measure import quantile
from benchmarks.payload import MARKER, NUMBER, TIME
from benchmarks.stream import Stream

BUFFER_BYTES = 2**20
MANY = 200  # events at once: more are waiting already
LOOK_S = 0.001  # between two looks; latencies are exact to that
CONNECTING_AT_ONCE = (
    1_000  # below any listen backlog, so that no connect is repeated after a second
)
TRICKLE_BYTES_PER_S = 1024


class Client:
    """All streams to one server, and what they got since `mark`."""

    def __init__(self, host: str, port: int, path: str, *headers: str) -> None:
        self._target = (host, port)
        usual = (f"Host: {host}:{port}", "Accept: text/event-stream")
        self._head = "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", *usual, *headers))
        self._epoll = select.epoll()
        self._epoll.register(0, select.EPOLLIN)
        self._buffer = bytearray(BUFFER_BYTES)
        self._streams: list[Stream] = []
        self._by_fd: dict[int, Stream] = {}
        self._due: list[tuple[float, int]] = []  # when to reconnect, and which stream
        self._to_connect: list[Stream] = []
        self._connecting = self._opened = 0
        self._trickle_due_s = 0.0
        self._waits: tuple[str, int, float] | None = None  # for what, how many, until when
        self._commands = b""
        self._errors: dict[str, int] = {}
        self._mark()

    # -- commands -----------------------------------------------------------------------------

    def run(self) -> None:
        """Until the driver closes standard input."""
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
                until_s = time.monotonic() + command["timeout_s"]
                self._waits = (command["what"], command["count"], until_s)
            case "mark":
                self._mark()
                _say({})
            case "read_all":
                self._read_all()
                _say({})
            case "report":
                _say(self._report())

    def _open(self, count: int, mode: str, sample: int) -> None:
        begin = len(self._streams)
        for number in range(begin, begin + count):
            self._streams.append(Stream(number, mode, sampled=number % sample == 0))
        self._to_connect = self._streams[begin:][::-1]
        _say({})

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
        self._rows = self._lost = self._resets = self._doubled = 0
        self._latency_ns = array("q")
        self._rounds: dict[int, list[int]] = {}  # time sent -> time first and last received
        self._away_s: list[float] = []
        self._marked = (time.monotonic(), time.process_time())
        for stream in self._streams:
            stream.begin_again(self._marked[0])

    def _report(self) -> dict[str, Any]:
        wall_s, cpu_s = time.monotonic() - self._marked[0], time.process_time() - self._marked[1]
        latency_ms = [ns / 1e6 for ns in self._latency_ns]
        spread_ms = [(last - first) / 1e6 for first, last in self._rounds.values()]
        counts = [one.rows for one in self._streams]
        for stream in self._streams:
            stream.hear(time.monotonic())  # the silence that has not ended counts
        silences_s = [one.silence_s for one in self._streams]
        exact = [one for one in self._streams if one.sampled and one.mode == "exact"]
        return {
            "rows": self._rows,
            "least": min(counts, default=0),
            "most": max(counts, default=0),
            "lost": self._lost,
            "resets": self._resets,
            "open": self._opened,
            "p50_ms": quantile(latency_ms, 0.5),
            "p99_ms": quantile(latency_ms, 0.99),
            "spread_ms": quantile(spread_ms, 0.5),
            "away_s": max(self._away_s, default=0.0),
            "silence_s": max(silences_s, default=0.0),
            "usual_silence_s": quantile(silences_s, 0.5),
            "checked": len(exact),
            "distinct": min((len(one.numbers) for one in exact), default=0),
            "doubled": self._doubled,
            "idle": max(0.0, 1 - cpu_s / wall_s),
            "errors": self._errors,
        }

    # -- streams ------------------------------------------------------------------------------

    def _connect_more(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            self._to_connect.append(self._streams[heapq.heappop(self._due)[1]])
        while self._to_connect and self._connecting < CONNECTING_AT_ONCE:
            stream = self._to_connect.pop()
            stream.connect(self._target)
            self._by_fd[stream.fd] = stream
            self._connecting += 1
            self._epoll.register(stream.fd, select.EPOLLOUT)

    def _serve(self, stream: Stream, event: int) -> None:
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
        stream.hear(time.monotonic())
        if not stream.opened:
            return self._begin(stream, bytes(self._buffer[:size]))
        if stream.mode != "normal":
            return self._take_exactly(stream, bytes(self._buffer[:size]))
        self._take(stream, self._buffer, size)
        return None

    def _ask(self, stream: Stream) -> None:
        resume = b"Last-Event-ID: " + stream.last_id + b"\r\n" if stream.last_id else b""
        stream.socket.send(self._head.encode() + resume + b"\r\n")
        self._epoll.modify(stream.fd, select.EPOLLIN)

    def _begin(self, stream: Stream, data: bytes) -> None:
        """A stream is open with the first bytes of its body."""
        try:
            body = stream.answered(data)
        except ConnectionRefusedError as refusal:
            return self._error(str(refusal))
        if body is None:
            return None
        stream.opened = True
        self._opened += 1
        self._connecting -= 1
        if stream.lost_s is not None:
            self._away_s.append(time.monotonic() - stream.lost_s)
            stream.lost_s = None
        if stream.mode in ("never", "trickle"):
            self._epoll.unregister(stream.fd)
        if stream.mode == "normal":
            return self._take(stream, body, len(body))
        return self._take_exactly(stream, body)

    def _take(self, stream: Stream, data: bytes | bytearray, size: int) -> None:
        """Counts rows by their last bytes, which holds for any framing."""
        if rows := data.count(MARKER, 0, size):
            stream.rows += rows
            self._rows += rows
            if stream.sampled:
                self._time(data, size)

    def _time(self, data: bytes | bytearray, size: int) -> None:
        now_ns = time.monotonic_ns()
        for found in TIME.findall(data, 0, size):
            sent_ns = int(found)
            self._latency_ns.append(now_ns - sent_ns)
            self._rounds.setdefault(sent_ns, [now_ns, now_ns])[1] = now_ns

    def _take_exactly(self, stream: Stream, data: bytes) -> None:
        """Counts rows of whole events, and remembers where to resume."""
        got = stream.events.take(stream.body.take(data))
        stream.rows += got.rows
        self._rows += got.rows
        self._resets += got.resets
        if stream.sampled:
            self._check(stream, got.text)
        if got.last_id is not None:
            stream.last_id = got.last_id
        if got.retry_ms is not None:
            stream.retry_s = got.retry_ms / 1000
        if stream.body.ended:
            self._lose(stream)

    def _check(self, stream: Stream, events: bytes) -> None:
        for number in NUMBER.findall(events):
            self._doubled += number in stream.numbers
            stream.numbers.add(number)

    def _lose(self, stream: Stream) -> None:
        self._by_fd.pop(stream.fd, None)
        stream.socket.close()
        self._connecting -= not stream.opened
        self._opened -= stream.opened
        self._lost += 1
        stream.opened = False
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
        """From now on slow streams read like the others, and reconnect."""
        for stream in self._streams:
            if stream.mode in ("never", "trickle"):
                stream.mode = "exact"
                if stream.opened:
                    self._epoll.register(stream.fd, select.EPOLLIN)

    def _error(self, what: str) -> None:
        self._errors[what] = self._errors.get(what, 0) + 1


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Client(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]).run()
