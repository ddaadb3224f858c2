"""The hour as lines of plots: values on one grid of time, summed or side by side. It changes
nothing, and lets others have their turn.

Nothing is interpolated: a point without a sample is None, and the line is broken there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

from poller.runtime.hub import in_slices
from poller.status.figures import Counts, Sample, together
from poller.status.machine import HOUR_S, Machine, Worker
from poller.status.quantiles import quantile

STEP_S = 20  # of the grid; a sample comes each 10 s
POINTS = int(HOUR_S) // STEP_S
TOGETHER_S = 60.0  # workers that began within it are one deploy
MB = 1_000_000
NOTHING = Counts()

Line = list[float | None]
LAST, SUM, RATE = "last", "sum", "rate"  # of several samples in the time of one point


class Step(NamedTuple):
    """What a worker did between two samples, where on the grid the later one is, and whether it
    only read then what there was before it."""

    point: int
    starts: bool
    before: Sample
    after: Sample

    def counts(self, label: str) -> tuple[Counts, Counts]:
        return self.before.feeds.get(label, NOTHING), self.after.feeds.get(label, NOTHING)

    def grew(self, label: str, name: str) -> float:
        before, after = self.counts(label)
        return float(getattr(after, name) - getattr(before, name))

    def now(self, label: str, name: str) -> float:
        return float(getattr(self.counts(label)[1], name))


Value = Callable[[Step], float]


class Hour:
    """The steps of all workers in the hour before `machine.at`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.first = (int(machine.at) // STEP_S - POINTS + 1) * STEP_S
        self.slots = [*range(1, max((one.slot for one in machine.workers), default=0) + 1)]
        self._steps: dict[int, list[Step]] = {slot: [] for slot in self.slots}
        for one in machine.workers:
            self._steps[one.slot] += _steps(one, self.first)

    def by_slot(self, value: Value, how: str = LAST) -> list[Line]:
        """A line a worker."""
        return [self._line(slot, value, how) for slot in self.slots]

    def _line(self, slot: int, value: Value, how: str) -> Line:
        line: Line = [None] * POINTS
        spent = [0.0] * POINTS
        for step in in_slices(self._steps[slot]):
            before = 0.0 if how == LAST else line[step.point] or 0.0
            line[step.point] = before + value(step)
            spent[step.point] += step.after.at - step.before.at
        if how == RATE:
            line = [
                one and one / spent_s for one, spent_s in zip(line, spent, strict=True)
            ]  # fmt: skip
        return [one and round(one, 2) for one in line]

    def delays(self) -> list[Line]:
        """p50 and p99 of all feeds and workers."""
        points: list[tuple[float, ...]] = [()] * POINTS
        for step in in_slices(chain(*self._steps.values())):
            for label in self._machine.labels:
                before, after = step.counts(label)
                if after.lag != before.lag:
                    new = together(after.lag, before.lag, -1)
                    points[step.point] = together(points[step.point], new)
        found = [[quantile(share, one) for one in points] for share in (0.5, 0.99)]
        return [[one and round(one, 4) for one in line] for line in found]


def hour_of(machine: Machine) -> dict[str, Any]:
    """The lines by plot. `from` is the time of the first point, in seconds since 1970."""
    hour, labels = Hour(machine), machine.labels

    def grew(*names: str) -> Value:
        return lambda step: sum(step.grew(label, name) for label in labels for name in names)

    def now(name: str) -> Value:
        return lambda step: sum(step.now(label, name) for label in labels)

    def rows(label: str) -> Value:
        return lambda step: 0.0 if step.starts else step.grew(label, "rows")

    return {
        "from": hour.first,
        "step": STEP_S,
        "slots": hour.slots,
        "feeds": [*labels],
        "delay": hour.delays(),
        "rows": [_joined(hour.by_slot(rows(label), RATE), max) for label in labels],
        "streams": hour.by_slot(now("streams")),
        "polls": hour.by_slot(grew("polls"), RATE),
        "gaps": [_joined(hour.by_slot(now("gaps")), max)],
        "cpu": hour.by_slot(lambda one: 100 * (one.after.cpu_s - one.before.cpu_s), RATE),
        "memory": hour.by_slot(lambda one: one.after.memory_bytes / MB),
        "lost": [_joined(hour.by_slot(grew("cut", "full", "crowded", "resets"), SUM), sum)],
        "marks": marks(machine),
    }


def marks(machine: Machine) -> list[dict[str, Any]]:
    """When workers began while others had been there before: a deploy, or a worker that died."""
    found: list[dict[str, Any]] = []
    for at in sorted(one.now.began for one in machine.workers):
        if found and at - found[-1]["at"] < TOGETHER_S:
            found[-1]["workers"] += 1
        else:
            found.append({"at": round(at), "workers": 1})
    return [one for one in found[1:] if one["at"] > machine.at - HOUR_S]


def _steps(worker: Worker, first: int) -> Iterator[Step]:
    samples = [*worker.hour]
    if not samples or worker.now.sample.at > samples[-1].at:
        samples.append(worker.now.sample)
    for before, after in pairwise(samples):
        point = (int(after.at) - first) // STEP_S
        if 0 <= point < POINTS and after.at > before.at:
            yield Step(point, worker.starts(before), before, after)


def _joined(lines: Sequence[Line], join: Callable[[list[float]], float]) -> Line:
    if not lines:
        return [None] * POINTS
    told = ([one for one in values if one is not None] for values in zip(*lines, strict=True))
    return [join(values) if values else None for values in told]
