"""What a soak found, and whether anything is broken.

A slope needs time: memory that jumps by some hundred kilobytes hides 1 MB an hour from a run of
minutes. What a short run can tell is exact instead: which objects are there that were not before.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.campaigns.soak.slope import Slope

MOST_MB_PER_HOUR = 1.0
# All objects: caches fill a little, whatever the number of streams; of a stream nothing may stay.
MOST_OBJECTS_IN_CACHES = 500
MOST_OBJECTS_PER_STREAM = 0.25


@dataclass(frozen=True)
class Rest:
    """Each worker's descriptors, and its census, while nobody is there."""

    descriptors: Mapping[int, int]
    census: Mapping[int, dict[str, Any]]

    def more_than(self, before: "Rest") -> list[str]:
        """What there is more of than there was: descriptors, greenlets, objects of the poller."""
        return [
            f"worker {pid}: {count} {what}, {before.counts(pid)[what]} before"
            for pid in self.census
            for what, count in self.counts(pid).items()
            if count > before.counts(pid)[what]
        ]

    def counts(self, pid: int) -> Counter[str]:
        census = self.census[pid]
        others = {"descriptors": self.descriptors[pid], "greenlets": census["greenlets"]}
        return Counter(census["poller"] | others)


@dataclass(frozen=True)
class Report:
    """`settled`: streams and descriptors went back to where they were; `same`: no worker died."""

    connects: int
    rows: int
    wrong: Counter[str]
    slopes: Mapping[int, Slope]
    before: Rest
    after: Rest
    settled: bool
    same: bool

    def broken(self, *, judge_slope: bool) -> list[str]:
        """Why it did not pass; empty where it did."""
        return [*self._what_clients_saw(), *self._what_stayed(), *self._slopes(judge_slope)]

    def lines(self) -> Iterator[str]:
        wrong = sum(self.wrong.values())
        yield f"{self.connects} connects, {self.rows} rows received, {wrong} wrong"
        for pid, slope in self.slopes.items():
            yield (
                f"worker {pid}: memory {slope.value:+.2f} MB/h"
                f" (95 %: {slope.low:+.2f} to {slope.high:+.2f}{_doubt(slope)}),"
                f" descriptors {self.before.descriptors[pid]} before,"
                f" {self.after.descriptors[pid]} after,"
                f" {self._more_objects(pid):+d} objects after {self._streams:.0f} streams"
            )

    def _what_clients_saw(self) -> Iterator[str]:
        yield from (f"{what} ({times} times)" for what, times in self.wrong.most_common(5))
        if not self.same:
            yield "a worker died"

    def _what_stayed(self) -> Iterator[str]:
        yield from self.after.more_than(self.before)
        if not self.settled:
            yield "streams that ended are still counted, or something of them stayed"
        for pid in self.after.census:
            most = MOST_OBJECTS_IN_CACHES + MOST_OBJECTS_PER_STREAM * self._streams
            if self._more_objects(pid) > most:
                yield f"worker {pid}: {self._more_objects(pid)} objects more, {most:.0f} allowed"

    def _slopes(self, judge: bool) -> Iterator[str]:
        for pid, slope in self.slopes.items():
            if judge and slope.value >= MOST_MB_PER_HOUR:
                yield f"worker {pid}: memory grows by {slope.value:.2f} MB/h"

    @property
    def _streams(self) -> float:
        """Of each worker, about."""
        return self.connects / len(self.slopes)

    def _more_objects(self, pid: int) -> int:
        return int(self.after.census[pid]["objects"] - self.before.census[pid]["objects"])


def _doubt(slope: Slope) -> str:
    """Whether so short a run can say on which side of the bound it is."""
    undecided = slope.low < MOST_MB_PER_HOUR <= slope.high
    return "; too short to be sure" if undecided else ""
