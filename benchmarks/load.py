"""The other end of `client.py`: starts the load client and commands it; every wait is bounded."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from benchmarks.machine import PROJECT

ANSWER_S = 30.0  # for a client that is busy, beyond what it was asked to wait
OPEN_S = 120.0
SAMPLED_STREAMS = 500  # whose times are read, at least; every stream while there are fewer

Mode = Literal["normal", "exact", "trickle", "never"]


@dataclass(frozen=True)
class Got:
    """What the streams of one client got since `mark`."""

    rows: int
    least: int  # rows of the stream that got least
    most: int
    lost: int  # streams that ended
    resets: int
    open: int
    p50_ms: float
    p99_ms: float
    spread_ms: float  # from the first to the last sampled stream that got a row, median of the rows
    away_s: float  # the longest time from the end of a stream until it was open again
    silence_s: float  # the longest time in which a stream heard nothing
    usual_silence_s: float  # the longest of a stream, median of all streams
    checked: int  # sampled streams that are exact, of which the number of each row is looked at
    distinct: int  # different rows of the one that got least
    doubled: int  # rows that these got a second time
    idle: float  # the share of the time in which the client had nothing to do
    errors: dict[str, int]


class Load:
    """`with Load(url) as load: load.open(1000)`. Ends its process, and so its streams.

    `headers` are lines that each request has besides the usual ones."""

    def __init__(
        self, url: str, sampled_streams: int = SAMPLED_STREAMS, headers: Sequence[str] = ()
    ) -> None:
        parts = urlsplit(url)
        self._sampled = sampled_streams
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._arguments = [parts.hostname or "", str(parts.port), path, *headers]
        self.streams = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.client", *self._arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def open(self, count: int, mode: Mode = "normal", timeout_s: float = OPEN_S) -> None:
        """Opens `count` more streams, and waits until the last one has its first bytes."""
        self.streams += count
        sample = max(1, self.streams // self._sampled)
        self._ask({"do": "open", "count": count, "mode": mode, "sample": sample})
        answer = self._wait("open", self.streams, timeout_s)
        assert answer["have"] >= self.streams, f"{answer} of {self.streams} streams are open"

    def mark(self) -> None:
        """Counts from zero from now on."""
        self._ask({"do": "mark"})

    def wait_rows(self, rows: int, timeout_s: float) -> int:
        """Until all streams together got so many, or the time is over; how many they got."""
        return int(self._wait("rows", rows, timeout_s)["have"])

    def wait_each(self, rows: int, timeout_s: float) -> int:
        """Until each stream got so many, or the time is over; how many the last one got."""
        return int(self._wait("each", rows, timeout_s)["have"])

    def wait_open(self, timeout_s: float) -> int:
        """Until every stream is open again, or the time is over; how many are."""
        return int(self._wait("open", self.streams, timeout_s)["have"])

    def read_all(self) -> None:
        """Slow streams read everything from now on, and reconnect after they were dropped."""
        self._ask({"do": "read_all"})

    def report(self) -> Got:
        return Got(**self._ask({"do": "report"}))

    def _wait(self, what: str, count: int, timeout_s: float) -> dict[str, Any]:
        command = {"do": "wait", "what": what, "count": count, "timeout_s": timeout_s}
        return self._ask(command, timeout_s)

    def _ask(self, command: dict[str, Any], timeout_s: float = 0) -> dict[str, Any]:
        send, receive = self._process.stdin, self._process.stdout
        assert send is not None
        assert receive is not None
        send.write(json.dumps(command).encode() + b"\n")
        send.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            ready = select.select([receive], [], [], timeout_s + ANSWER_S)[0]
            part = os.read(receive.fileno(), 65_536) if ready else b""
            assert part, f"the load client does not answer {command['do']}"
            answer += part
        return dict(json.loads(answer))
