"""What this process is doing now."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from poller.access.admission import Admission
from poller.access.capacity import Capacity
from poller.feed import Feed
from poller.ids.gaps import NOTHING_KNOWN
from poller.runtime.settings import Settings
from poller.status.figures import Counts, FeedNow, Gap, Places, Sample, WorkerNow, counted, together

MOST_GAPS = 20  # are told one by one, the oldest
CREATED = "created_at"
_STATM = Path("/proc/self/statm")
_PAGE_BYTES = resource.getpagesize()


class Reporting(Protocol):
    """One application's service, as far as it is told of."""

    url_prefix: str
    settings: Settings
    feeds: dict[str, Feed]
    admission: Admission
    capacity: Capacity
    draining: bool


def now_of(services: Sequence[Reporting], server: str, began: float, sample: Sample) -> WorkerNow:
    """The state of this process. `sample` was just taken."""
    return WorkerNow(
        os.getpid(),
        time.monotonic(),
        began,
        vars(sys.modules["poller"])["__version__"],  # which imports this
        any(one.draining for one in services),
        server,
        max((one.capacity.open_files for one in services), default=0),
        {one.url_prefix: _places(one.admission) for one in services},
        sample,
        {str(feed.label): _feed(feed) for one in services for feed in one.feeds.values()},
    )


def sample_of(
    services: Sequence[Reporting], at: float, late_s: float, heard: Callable[..., Counts]
) -> Sample:
    """The counts of this process; `heard(label, counts)` may correct them."""
    labels = [str(feed.label) for one in services for feed in one.feeds.values()]
    feeds = {label: heard(label, counts) for label, counts in counted(labels).items()}
    return Sample(at, time.process_time(), memory_bytes(), late_s, feeds)


def memory_bytes() -> int:
    """What this process has in memory; where that is not told, the most that it ever had."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _places(admission: Admission) -> Places:
    busiest = max(admission.by_client.values(), default=0)
    return Places(admission.taken, admission.most, busiest, admission.per_address or 0)


def _feed(feed: Feed) -> FeedNow:
    status, polled_at = feed.status(), feed.poller.last_poll_at
    limits = status["limits"]
    return FeedNow(
        str(feed.name),
        feed.problem(),
        feed.poller.problem is not None,
        feed.database.dialect,
        tuple((f"{one.fact}: {one.lacking}", one.remedy) for one in feed.exceptions),
        len(limits) if isinstance(limits, Sequence) else 0,
        None if polled_at is None else time.monotonic() - polled_at,
        feed.poller.interval_s,
        feed.shows(CREATED),
        _gaps(feed),
        feed.watcher.lacking if feed.watcher else "",
    )


def _gaps(feed: Feed) -> tuple[Gap, ...]:
    """Those of a table; a window has none."""
    if feed.watch.window is not None or not feed.described:
        return ()
    now, fence = time.monotonic(), feed.source.fence
    return tuple(
        Gap(
            part.ranges[0][0],
            sum(high - low + 1 for low, high in part.ranges),
            now - part.since,
            () if part.witness == NOTHING_KNOWN else tuple(fence.holders(part.witness)),
        )
        for part in feed.poller.gaps.all[:MOST_GAPS]
    )


class Heard:
    """Delays that somebody had. While nobody listens, polls are seldom and nobody waits for a row:
    what it took then says nothing."""

    def __init__(self) -> None:
        self._before: dict[str, Counts] = {}
        self._heard: dict[str, tuple[float, ...]] = {}

    def __call__(self, label: str, counts: Counts) -> Counts:
        """The counts with the delays since the call before, if there were streams then or are."""
        before, heard = self._before.get(label, Counts()), self._heard.get(label, ())
        if before.streams or counts.streams:
            heard = together(heard, together(counts.lag, before.lag, -1))
        self._before[label], self._heard[label] = counts, heard
        return replace(counts, lag=heard)
