"""Several load clients as one: for more streams than one process may have open files."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from benchmarks.load import OPEN_S, Got, Load, Mode

STREAMS_EACH = 10_000
SUMS = ("rows", "lost", "resets", "open", "checked", "doubled")
LEAST = ("least", "distinct", "idle")


class Crowd:
    """`with Crowd(url, 20_000) as crowd`: so many streams, spread evenly over load clients."""

    def __init__(self, url: str, streams: int, mode: Mode = "exact") -> None:
        self.streams = streams
        self._mode: Mode = mode
        self._clients = [Load(url) for _ in range(-(-streams // STREAMS_EACH))]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for client in self._clients:
                stack.enter_context(client)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def open(self, timeout_s: float = OPEN_S) -> None:
        """All of them, one client after the other."""
        each, more = divmod(self.streams, len(self._clients))
        for number, client in enumerate(self._clients):
            client.open(each + (number < more), self._mode, timeout_s)

    def mark(self) -> None:
        for client in self._clients:
            client.mark()

    def wait_each(self, rows: int, timeout_s: float) -> int:
        """Until each stream got so many, or the time is over; how many the last one got."""
        until_s = time.monotonic() + timeout_s
        return min(client.wait_each(rows, _left(until_s)) for client in self._clients)

    def wait_open(self, timeout_s: float) -> int:
        """Until every stream is open again, or the time is over; how many are."""
        until_s = time.monotonic() + timeout_s
        return sum(client.wait_open(_left(until_s)) for client in self._clients)

    def report(self) -> Got:
        """Of all streams: counts are summed, of the least the least counts, of times the worst."""
        every = [vars(client.report()) for client in self._clients]
        errors: dict[str, int] = {}
        for one in every:
            for what, count in one["errors"].items():
                errors[what] = errors.get(what, 0) + count
        together = {name: _together(name, [one[name] for one in every]) for name in every[0]
                    if name != "errors"}  # fmt: skip
        return Got(**together, errors=errors)


def _together(name: str, values: list[Any]) -> Any:
    if name in SUMS:
        return sum(values)
    return min(values) if name in LEAST else max(values)


def _left(until_s: float) -> float:
    return max(0.0, until_s - time.monotonic())
