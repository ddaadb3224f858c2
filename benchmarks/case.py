"""`Case`: one question, the rows of figures that answer it, and how they are shown.

A row of figures is plain data (`Figures`), kept as JSON, so that a document can be made anew from
cases that were run at different times.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, make
from benchmarks.load import Load
from benchmarks.machine import urgent
from benchmarks.plan import Plan
from tests.harness.process import PartMissing, wait_until

Figures = dict[str, Any]
SUBSCRIBE_S = 120.0
FAILURE_CHARS = 300  # of a reason: the document is no log
CATCH_UP_S = 0.2  # a publisher that is late by more goes on from now instead of hurrying


@dataclass(frozen=True)
class Plot:
    """Lines over a common axis, or bars where a line has one point only."""

    file: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]
    log: bool = True


@dataclass(frozen=True)
class Case:
    """`run` yields figures one by one, `count` says how many it will, for the progress bar."""

    name: str
    title: str
    method: str
    run: Callable[[Bench], Iterator[Figures]]
    count: Callable[[Plan], int]
    table: Callable[[list[Figures]], str]
    plots: Callable[[list[Figures]], list[Plot]] = field(default=lambda _: [])


class Bench:
    """What a case runs with: how much, where, and somebody to tell what it is doing."""

    def __init__(self, plan: Plan, say: Callable[[str], None] = lambda _: None) -> None:
        self.plan = plan
        self.say = say
        self.current = ""  # whose turn it is

    @contextmanager
    def folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="rowcast-bench-") as name:
            yield Path(name)

    def each(
        self, names: tuple[str, ...], measure: Callable[[Contender], Iterator[Figures]]
    ) -> Iterator[Figures]:
        """Every contender in turn, started in a folder of its own, alone on the machine."""

        def started(name: str) -> Iterator[Figures]:
            with self.folder() as folder, make(name, folder) as server:
                yield from measure(server)

        return self.guarded(names, started)

    def guarded(
        self, names: tuple[str, ...], measure: Callable[[str], Iterator[Figures]]
    ) -> Iterator[Figures]:
        """The figures of each; of one that cannot be had, or fails, the reason."""
        for self.current in names:
            self.say(self.current)
            try:
                for figures in measure(self.current):
                    yield {"contender": self.current, **figures}
            except PartMissing as reason:
                yield {"contender": self.current, "missing": str(reason)}
            except (AssertionError, OSError) as error:
                yield {"contender": self.current, "failed": f"{error}"[:FAILURE_CHARS]}


def open_streams(server: Contender, load: Load, count: int) -> float:
    """So many streams more, all of them taken by the server; seconds that took."""
    began = time.monotonic()
    load.open(count, first_byte=server.answers_at_once)
    if not server.answers_at_once:
        wait_until(lambda: (server.subscribed() or 0) >= load.streams, SUBSCRIBE_S, "subscribed")
    return time.monotonic() - began


def steadily(send: Callable[[int], None], per_s: int, for_s: float, step_s: float = 0.01) -> float:
    """Calls `send(rows)` every `step_s` so that `per_s` rows go out each second; seconds taken."""
    with urgent():
        began = due = time.monotonic()
        step_s = max(step_s, 1 / per_s)
        owed = 0.0
        while (now := time.monotonic()) < began + for_s:
            owed += per_s * step_s
            if whole := int(owed):
                owed -= whole
                send(whole)
            due = max(due + step_s, now - CATCH_UP_S)
            time.sleep(max(0.0, due - time.monotonic()))
        return time.monotonic() - began
