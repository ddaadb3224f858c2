"""What one worker tells of itself: counts since it began, and its state now.

The counts are those of `/metrics`, of this worker alone, under short names. They only grow, so a
sample that was lost costs nothing: the next one tells the same. Structs are arrays in the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from poller.runtime import metrics

BUCKETS = (*metrics.SECONDS, float("inf"))  # upper bounds, in seconds
SAMPLE_S = 10.0
KEPT_S = 3600.0

# Where each count comes from: the sample of Prometheus, and the value of its second label, if any.
_COUNTED: Mapping[str, tuple[str, str]] = {
    "polls": ("polls_total", ""),
    "failures": ("poll_failures_total", ""),
    "rows": ("rows_encoded_total", ""),
    "late_rows": ("rows_late_total", ""),
    "dead_gaps": ("gaps_dead_total", ""),
    "cut": ("streams_cut_total", ""),
    "full": ("rejections_total", "full"),
    "crowded": ("rejections_total", "address"),
    "history_resets": ("resets_total", "history-changed"),
    "id_resets": ("resets_total", "ids-restarted"),
    "unreadable": ("rows_unreadable_total", ""),
    "withheld": ("values_withheld_total", ""),
    "handed_over": ("streams_handed_over_total", ""),
    "taken_over": ("streams_taken_total", ""),
    "hints": ("hints_total", ""),
    "resets": ("resets_total", ""),
    "refused": ("refused_total", ""),
}  # fmt: skip
_FOUND = {"streams": "streams_open", "gaps": "open_gaps"}
_TIMED = {"poll": "poll_seconds", "lag": "lag_seconds"}


class Counts(msgspec.Struct, array_like=True, frozen=True):
    """Of one feed. `streams` and `gaps` are those open now; the rest counts since the worker began.

    `poll` and `lag` count durations by `BUCKETS`, each bucket alone.
    """

    streams: float = 0
    gaps: float = 0
    polls: float = 0
    failures: float = 0
    rows: float = 0
    late_rows: float = 0
    dead_gaps: float = 0
    cut: float = 0
    full: float = 0
    crowded: float = 0
    history_resets: float = 0
    id_resets: float = 0
    unreadable: float = 0
    withheld: float = 0
    handed_over: float = 0
    taken_over: float = 0
    hints: float = 0
    resets: float = 0
    refused: float = 0
    poll: tuple[float, ...] = ()
    lag: tuple[float, ...] = ()

    def since(self, before: Counts) -> Counts:
        """What was counted between; `streams` and `gaps` as they are now."""
        return self._with(before, -1)

    def plus(self, other: Counts) -> Counts:
        """Both together; gaps are of the table, so that the worker who knows of most counts."""
        return self._with(other, 1)

    def _with(self, other: Counts, sign: int) -> Counts:
        told: dict[str, Any] = {"streams": self.streams, "gaps": self.gaps}
        if sign > 0:
            told["streams"] += other.streams
            told["gaps"] = max(self.gaps, other.gaps)
        for name in _COUNTED:
            told[name] = getattr(self, name) + sign * getattr(other, name)
        for name in _TIMED:
            told[name] = together(getattr(self, name), getattr(other, name), sign)
        return Counts(**told)


def together(one: tuple[float, ...], other: tuple[float, ...], sign: int = 1) -> tuple[float, ...]:
    """Two histograms as one; with -1, what was counted between them."""
    longest = max(len(one), len(other))
    padded = [(*some, *[0.0] * (longest - len(some))) for some in (one, other)]
    return tuple(a + sign * b for a, b in zip(*padded, strict=True))


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One worker at one moment: `at` in seconds since 1970, `late_s` how long at most its event
    loop kept a timer waiting since the sample before. `feeds` by label."""

    at: float
    cpu_s: float
    memory_bytes: int
    late_s: float
    feeds: dict[str, Counts]


class Gap(msgspec.Struct, frozen=True):
    """Open gaps that were found together: `first` of `ids` missing ids, `holders` in words."""

    first: int
    ids: int
    open_s: float
    holders: tuple[str, ...] = ()


class FeedNow(msgspec.Struct, frozen=True):
    """One feed in one worker. `degraded`: what is not promised, and what to do about it.

    `problem` is why it is not ready, for a stranger; `failing`: because polls fail. `polled_s` ago
    was its last poll, None if there was none yet; `interval_s` is what it waits between two.
    `timed`: rows tell when they were created. `deaf` is why nothing is heard of commits,
    where something should be.
    """

    name: str
    problem: str = ""
    failing: bool = False
    database: str = ""
    degraded: tuple[tuple[str, str], ...] = ()
    limits: int = 0
    polled_s: float | None = None
    interval_s: float = 0.0
    timed: bool = False
    gaps: tuple[Gap, ...] = ()
    deaf: str = ""


class Places(msgspec.Struct, frozen=True):
    """The places of a notifier's streams: `taken` of `room`, `busiest` of them by one address,
    which may have `per_address` (0: any number)."""

    taken: int
    room: int
    busiest: int
    per_address: int


class WorkerNow(msgspec.Struct, frozen=True):
    """One worker. `at` is CLOCK_MONOTONIC, the machine's; `began` in seconds since 1970.

    `places` by the prefix of each notifier's routes; `open_files` is the limit of descriptors.
    """

    pid: int
    at: float
    began: float
    version: str
    draining: bool
    server: str
    open_files: int
    places: dict[str, Places]
    sample: Sample
    feeds: dict[str, FeedNow]


def counted(labels: list[str]) -> dict[str, Counts]:
    """The counts of this process, by feed."""
    told: dict[tuple[str, str, str], float] = {}
    buckets: dict[tuple[str, str], list[float]] = {}
    for metric in metrics.OURS.collect():
        for name, named, value, *_ in metric.samples:
            short, feed = name.removeprefix(metrics.PREFIX), named.get("feed", "")
            if short.endswith("_bucket"):
                buckets.setdefault((short.removesuffix("_bucket"), feed), []).append(value)
                continue
            told[short, feed, ""] = told.get((short, feed, ""), 0) + value
            if "reason" in named:
                told[short, feed, named["reason"]] = value
    return {label: _counts(told, buckets, label) for label in labels}


def _counts(
    told: Mapping[tuple[str, str, str], float],
    buckets: Mapping[tuple[str, str], list[float]],
    label: str,
) -> Counts:
    values: dict[str, Any] = {
        name: told.get((short, label, reason), 0) for name, (short, reason) in _COUNTED.items()
    }
    values |= {name: told.get((short, label, ""), 0) for name, short in _FOUND.items()}
    for name, short in _TIMED.items():
        upto = buckets.get((short, label), [])  # cumulative, as Prometheus has them
        values[name] = tuple(b - a for a, b in zip([0.0, *upto], upto, strict=False))
    return Counts(**values)
