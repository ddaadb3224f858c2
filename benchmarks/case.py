"""`Case`: one question, the rows of figures that answer it, and how they are shown.

A row of figures is plain data (`Figures`) that is kept as JSON, so that the page can be written
from cases that were run at different times.
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
from benchmarks.machine import urgent
from benchmarks.plan import Plan
from benchmarks.plot import Plot
from tests.harness.process import PartMissing

Figures = dict[str, Any]
FAILURE_CHARS = 300  # of a reason: the page is no log
CATCH_UP_S = 0.2  # a publisher that is later than this skips the backlog instead of hurrying


@dataclass(frozen=True)
class Case:
    """`run` yields rows of figures one by one; `table` is Markdown."""

    name: str
    title: str
    method: str
    run: Callable[[Bench], Iterator[Figures]]
    table: Callable[[list[Figures]], str]
    plots: Callable[[list[Figures]], list[Plot]] = field(default=lambda _: [])


class Bench:
    """What a case runs with: how much to measure, and whom to tell what it is doing."""

    def __init__(self, plan: Plan, say: Callable[[str], None] = lambda _: None) -> None:
        self.plan = plan
        self.say = say

    def each(self, measure: Callable[[Contender], Iterator[Figures]]) -> Iterator[Figures]:
        """The figures of every contender in turn, started in a folder of its own."""

        def started(name: str) -> Iterator[Figures]:
            with folder() as place, make(name, place) as server:
                yield from measure(server)

        return self.guarded(self.plan.contenders, started)

    def guarded(
        self, names: tuple[str, ...], measure: Callable[[str], Iterator[Figures]]
    ) -> Iterator[Figures]:
        """The figures of each name; of one that is not on this machine, or fails, the reason."""
        for name in names:
            self.say(name)
            try:
                for figures in measure(name):
                    yield {"contender": name, **figures}
            except PartMissing as reason:
                yield {"contender": name, "missing": str(reason)}
            except (AssertionError, OSError) as error:
                yield {"contender": name, "failed": f"{error}"[:FAILURE_CHARS]}


@contextmanager
def folder() -> Iterator[Path]:
    """A private one, for the logs and files of one server."""
    with tempfile.TemporaryDirectory(prefix="rowcast-bench-") as name:
        yield Path(name)


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
