"""The workers of one machine together: who is there, and what all of them counted. Pure.

A worker that is replaced leaves its place to the next, so that a line of a plot goes on across a
deploy, and "worker 3" is who took the place of worker 3.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from poller.status.figures import Counts, FeedNow, Places, Sample, WorkerNow
from poller.status.folder import Told
from poller.status.words import seconds

LATE_S = 15.0  # a worker that has written nothing for so long stands still: one writes each 10 s
START_S = 5.0  # in which a worker reads what there was before it
OVERLAP_S = 60.0  # at a reload the next one begins while the one before still ends
RECENT_S = 600.0
HOUR_S = 3600.0
NO_PLACES = Places(0, 0, 0, 0)


@dataclass(frozen=True)
class Worker:
    """One worker, alive or not, in its `slot`, from 1. `hour` are its samples, the newest last."""

    slot: int
    now: WorkerNow
    hour: Sequence[Sample]
    lives: bool
    silent_s: float

    @property
    def stands_still(self) -> bool:
        return self.lives and self.silent_s > LATE_S

    @property
    def ended_at(self) -> float:
        """When it was seen for the last time, in seconds since 1970."""
        return self.now.sample.at

    @property
    def crashed(self) -> bool:
        """It ended without a word."""
        return not (self.lives or self.now.draining)

    def counted(self, label: str, since: float) -> Counts:
        """What it counted of this feed since then."""
        last = self.now.sample.feeds.get(label, Counts())
        return last.since(self._at(label, since))

    def value(self, label: str, name: str, since: float) -> float:
        """One of these counts."""
        return float(getattr(self.counted(label, since), name))

    def rows(self, label: str, since: float) -> float:
        """Rows that came since then. What it read at its start had come before."""
        counted = self.counted(label, since).rows
        if self.now.began < since:
            return counted
        started = (one for one in self.hour if not self.starts(one))
        first = next(started, self.now.sample).feeds.get(label, Counts()).rows
        return counted - first

    def starts(self, sample: Sample) -> bool:
        """Whether it had only just begun."""
        return sample.at < self.now.began + START_S

    def _at(self, label: str, since: float) -> Counts:
        if after := bisect_right(self.hour, since, key=lambda one: one.at):
            return self.hour[after - 1].feeds.get(label, Counts())
        if self.now.began >= since or not self.hour:
            return Counts()
        return self.hour[0].feeds.get(label, Counts())


@dataclass(frozen=True)
class Machine:
    """All of them, as one of them sees them `at` (seconds since 1970), for the service whose routes
    are below `prefix`. `alone`: others would not be seen, if there were any. `deadline_s` is after
    which a client that takes no byte is cut."""

    at: float
    prefix: str
    labels: Sequence[str]
    workers: Sequence[Worker]
    alone: bool = False
    deadline_s: float = 30.0
    _counted: dict[tuple[str, float], Counts] = field(default_factory=dict, repr=False)

    @cached_property
    def living(self) -> Sequence[Worker]:
        return [one for one in self.workers if one.lives]

    @cached_property
    def feeds(self) -> dict[str, list[FeedNow]]:
        """Of each feed what the workers that live tell, each for itself."""
        return {
            label: [one.now.feeds[label] for one in self.living if label in one.now.feeds]
            for label in self.labels
        }

    def places(self, worker: Worker) -> Places:
        return worker.now.places.get(self.prefix, NO_PLACES)

    @cached_property
    def worst(self) -> dict[str, FeedNow]:
        """Of each feed what the worker tells that is worst off with it."""
        return {label: _worst(label, told) for label, told in self.feeds.items()}

    @property
    def unread(self) -> list[str]:
        """The names of feeds that are not read now, or were not yet."""
        return [one.name for one in self.worst.values() if one.problem or one.polled_s is None]

    @property
    def span(self) -> str:
        """What is told of: `last hour`, or `last 19 s` where no worker is older than that."""
        began = min((one.now.began for one in self.workers), default=self.at)
        told_s = self.at - began
        return "last hour" if told_s >= HOUR_S else f"last {seconds(told_s)}"

    @property
    def taken(self) -> int:
        """Places of streams, in all workers."""
        return sum(self.places(one).taken for one in self.living)

    @property
    def room(self) -> int:
        return sum(self.places(one).room for one in self.living)

    @property
    def streams(self) -> int:
        return int(sum(
            one.now.sample.feeds.get(label, Counts()).streams
            for one in self.living for label in self.labels
        ))  # fmt: skip

    def counted(self, label: str, seconds: float) -> Counts:
        """Of a feed in all workers, those that ended included."""
        if (label, seconds) not in self._counted:
            total = Counts()
            for one in self.workers:
                total = total.plus(one.counted(label, self.at - seconds))
            self._counted[label, seconds] = total
        return self._counted[label, seconds]

    def total(self, name: str, seconds: float) -> int:
        """A count that is of streams or polls: the sum over feeds and workers."""
        return sum(int(getattr(self.counted(label, seconds), name)) for label in self.labels)

    def seen(self, label: str, name: str, seconds: float) -> int:
        """A count of rows, which each worker reads for itself: that of the slot that saw most."""
        slots: dict[int, float] = {}
        for one in self.workers:
            since = self.at - seconds
            found = one.rows(label, since) if name == "rows" else one.value(label, name, since)
            slots[one.slot] = slots.get(one.slot, 0) + found
        return int(max(slots.values(), default=0))

    def seen_by_feed(self, name: str) -> dict[str, int]:
        """That of the hour, by the feed's name, where there is any."""
        seen = {one.name: self.seen(label, name, HOUR_S) for label, one in self.worst.items()}
        return {feed: number for feed, number in seen.items() if number}

    def seen_in_all(self, name: str) -> int:
        return sum(self.seen_by_feed(name).values())


def _worst(label: str, told: Sequence[FeedNow]) -> FeedNow:
    if not told:
        return FeedNow(label, "no worker tells of it")
    return max(told, key=lambda one: (bool(one.problem), len(one.degraded), one.polled_s or 0.0))


def workers_of(told: Iterable[Told], now: float, at: float) -> list[Worker]:
    """Those that were there in the last hour, each in a slot that was free soon after it began.

    `now` is CLOCK_MONOTONIC. A worker that died within its first seconds, again and again, takes
    the same slot again.
    """
    lately = [one for one in told if one.lives or one.now.sample.at > at - HOUR_S]
    taken_until: list[float] = []
    found = []
    for one in sorted(lately, key=lambda one: one.now.began):
        until = float("inf") if one.lives and not one.now.draining else one.now.sample.at
        free = [slot for slot, end in enumerate(taken_until) if end <= one.now.began + OVERLAP_S]
        slot = free[0] if free else len(taken_until)
        taken_until[slot : slot + 1] = [until]
        silent_s = max(0.0, now - one.now.at)
        found.append(Worker(slot + 1, one.now, one.hour, one.lives, silent_s))
    return sorted(found, key=lambda one: (one.slot, one.now.began))
