"""Machines made of figures, for checks that read figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from poller.status.figures import BUCKETS, Counts, FeedNow, Places, Sample, WorkerNow
from poller.status.machine import Machine, Worker

AT = 1_800_000_000.0
BEGAN = AT - 86_400.0
WELL = FeedNow("orders", database="postgresql", polled_s=0.2, interval_s=0.5, timed=True)
ROOM = Places(taken=3, room=100, busiest=2, per_address=25)


def took(*durations: float) -> tuple[float, ...]:
    """Durations in seconds, by buckets."""
    counts = [0.0] * len(BUCKETS)
    for one in durations:
        counts[next(i for i, bound in enumerate(BUCKETS) if one <= bound)] += 1
    return tuple(counts)


USUAL = Counts(streams=3, polls=7200, rows=40, poll=took(*[0.002] * 99, 0.004))


def sample(at: float, feeds: Mapping[str, Counts], late_s: float = 0.0) -> Sample:
    return Sample(at, 0.1 * (at - BEGAN), 90_000_000, late_s, dict(feeds))


def worker(
    slot: int = 1,
    feeds: Mapping[str, FeedNow] | None = None,
    counts: Mapping[str, Counts] | None = None,
    *,
    before: Mapping[str, Counts] | None = None,
    late_s: float = 0.0,
    silent_s: float = 0.2,
    lives: bool = True,
    places: Places = ROOM,
    **told: Any,
) -> Worker:
    """One that has run for a day. `before`: what it had counted 20 minutes ago, else nothing."""
    now = WorkerNow(
        pid=4000 + slot,
        at=0.0,
        began=BEGAN,
        version="1.4.2",
        draining=False,
        server="gunicorn, poller.Worker",
        open_files=20_000,
        places={"": places},
        sample=sample(AT, {"orders": USUAL} if counts is None else counts, late_s),
        feeds=dict({"orders": WELL} if feeds is None else feeds),
    )
    hour = [sample(AT - 3700, {}), sample(AT - 1200, before or {}), sample(AT - 10, before or {})]
    return Worker(slot, replace(now, **told), hour, lives, silent_s)


def machine(*workers: Worker, labels: Sequence[str] = ("orders",), alone: bool = False) -> Machine:
    return Machine(AT, "", labels, workers or (worker(),), alone=alone, deadline_s=30.0)


def of_feed(counts: Counts | None = None, before: Counts | None = None, **now: Any) -> Machine:
    """One worker and one feed."""
    return machine(
        worker(
            feeds={"orders": replace(WELL, **now)},
            counts={"orders": USUAL if counts is None else counts},
            before={"orders": before} if before else None,
        )
    )
