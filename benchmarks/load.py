"""The other end of `client.py`: starts the load client and asks it, each answer within a bound."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PROJECT = Path(__file__).resolve().parents[1]
ANSWER_S = 30.0  # for a client that is busy, beyond what it was asked to wait
SAMPLED_STREAMS = 500  # whose times are read, at least; of every one while there are no more


@dataclass(frozen=True)
class Got:
    """What the streams of one client got since `mark`, and what that cost the client."""

    rows: int
    least: int  # rows of the stream that got least
    most: int
    bytes: int
    reads: int
    lost: int  # streams that ended
    resets: int
    open: int
    samples: int  # rows whose time was read
    p50_ms: float
    p99_ms: float
    max_ms: float
    spread_ms: float  # from the first to the last sampled stream that got a row, median of the rows
    away_s: float  # the longest that a stream was away until it was open again
    came_back: int
    wall_s: float
    cpu_s: float
    errors: dict[str, int]

    @property
    def idle(self) -> float:
        """The share of the time in which the client had nothing to do."""
        return max(0.0, 1 - self.cpu_s / self.wall_s)


class Load:
    """`with Load(url) as load: load.open(1000)`. Ends its process, and so its streams."""

    def __init__(self, url: str, sampled_streams: int = SAMPLED_STREAMS) -> None:
        parts = urlsplit(url)
        self._sampled = sampled_streams
        self._arguments = [parts.hostname or "", str(parts.port), parts.path]
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

    def open(
        self, count: int, mode: str = "normal", timeout_s: float = 120, *, first_byte: bool = True
    ) -> float:
        """So many streams more; seconds until the last one had its first bytes.

        With `first_byte` false: until its request was sent, for a server that answers later.
        """
        began = time.monotonic()
        self.streams += count
        sample = max(1, self.streams // self._sampled)
        arguments = {"count": count, "mode": mode, "sample": sample, "first_byte": first_byte}
        answer = self._ask({"do": "open", "timeout_s": timeout_s, **arguments}, timeout_s)
        assert answer["have"] >= self.streams, f"{answer} of {self.streams} streams are open"
        return time.monotonic() - began

    def mark(self) -> None:
        """From now on, count anew."""
        self._ask({"do": "mark"})

    def wait_rows(self, rows: int, timeout_s: float) -> int:
        """Until all streams together got so many, or the time is over; how many they got."""
        return self._wait({"do": "wait", "rows": rows}, timeout_s)

    def wait_each(self, rows: int, timeout_s: float) -> int:
        """Until each stream got so many, or the time is over; how many the last one got."""
        return self._wait({"do": "wait_each", "rows": rows}, timeout_s)

    def wait_open(self, timeout_s: float) -> int:
        """Until every stream is open again, or the time is over; how many are."""
        return self._wait({"do": "wait_open", "count": self.streams}, timeout_s)

    def read_all(self) -> None:
        """Slow streams read everything from now on, and come back when they were dropped."""
        self._ask({"do": "read_all"})

    def report(self) -> Got:
        return Got(**self._ask({"do": "report"}))

    def _wait(self, command: dict[str, Any], timeout_s: float) -> int:
        return int(self._ask({**command, "timeout_s": timeout_s}, timeout_s)["have"])

    def _ask(self, command: dict[str, Any], timeout_s: float = 0) -> dict[str, Any]:
        send, receive = self._process.stdin, self._process.stdout
        assert send is not None
        assert receive is not None
        send.write(json.dumps(command).encode() + b"\n")
        send.flush()
        answer, until_s = b"", time.monotonic() + timeout_s + ANSWER_S
        while not answer.endswith(b"\n"):
            ready = select.select([receive], [], [], max(0, until_s - time.monotonic()))[0]
            part = os.read(receive.fileno(), 65_536) if ready else b""
            assert part, f"the load client does not answer {command['do']}"
            answer += part
        return dict(json.loads(answer))
