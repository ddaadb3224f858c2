"""What Prometheus sees. Every metric is listed here, labelled with the feed's name.

Under gunicorn, `PROMETHEUS_MULTIPROC_DIR` makes each worker write to a file of its own; `expose()`
adds them up. Gauges say how: the streams of all living workers are summed, of gaps and ages the
worst counts. Counters of a worker that ended stay in the sum.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PREFIX = "rowcast_"
FEED = ["feed"]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

streams_open = Gauge(
    "rowcast_streams_open",
    "Open streams, and requests for rows that wait.",
    FEED,
    multiprocess_mode="livesum",
)
streams_total = Counter("rowcast_streams", "Streams opened.", FEED)
streams_cut = Counter("rowcast_streams_cut", "Streams whose client took no bytes in time.", FEED)
rows_requests = Counter("rowcast_rows_requests", "Requests for rows without a stream.", FEED)
rows_encoded = Counter("rowcast_rows_encoded", "Rows read by polls and encoded.", FEED)
rows_delivered = Counter("rowcast_rows_delivered", "Rows sent, counted once for each stream.", FEED)
values_withheld = Counter(
    "rowcast_values_withheld", "Values sent as null: unreadable, or too large.", FEED
)
rows_unreadable = Counter("rowcast_rows_unreadable", "Rows sent as a placeholder.", FEED)
polls = Counter("rowcast_polls", "Polls that succeeded.", FEED)
poll_seconds = Histogram("rowcast_poll_seconds", "Time of a poll.", FEED, buckets=SECONDS)
poll_failures = Counter("rowcast_poll_failures", "Polls that failed.", FEED)
hints = Counter(
    "rowcast_hints",
    "Hints to poll sooner: of a worker of this server, a command, LISTEN, or an SQLite file.",
    [*FEED, "source"],
)
lag_seconds = Histogram(
    "rowcast_lag_seconds",
    "From a row's created_at to its encoding, if the table has that column.",
    FEED,
    buckets=SECONDS,
)
open_gaps = Gauge(
    "rowcast_open_gaps", "Gaps that may still fill.", FEED, multiprocess_mode="livemax"
)
oldest_gap_seconds = Gauge(
    "rowcast_oldest_gap_seconds",
    "How long the oldest open gap has been known; 0 if there is none.",
    FEED,
    multiprocess_mode="livemax",
)
gap_holders = Gauge(
    "rowcast_gap_holders",
    "Open transactions that may fill an open gap, if they can be seen.",
    FEED,
    multiprocess_mode="livemax",
)
gaps_dead = Counter("rowcast_gaps_dead", "Gaps that can no longer fill.", FEED)
rows_late = Counter("rowcast_rows_late", "Rows found in a gap: committed late.", FEED)
degraded = Gauge(
    "rowcast_degraded",
    "Reasons why the promise does not hold in full for the table; /readyz names them.",
    FEED,
    multiprocess_mode="livemax",
)
limits = Gauge(
    "rowcast_limits",
    "What is mistaken about the table's history, whatever is set up; /readyz names it.",
    FEED,
    multiprocess_mode="livemax",
)
log_rows = Gauge("rowcast_log_rows", "Rows in the log.", FEED, multiprocess_mode="livesum")
log_bytes = Gauge("rowcast_log_bytes", "Bytes in the log.", FEED, multiprocess_mode="livesum")
resumes = Counter(
    "rowcast_resumes",
    "Streams that gave a Last-Event-ID, by where they were served from: log, ring or table.",
    [*FEED, "kind"],
)
pages = Counter("rowcast_pages", "Pages of rows read from the table for streams.", FEED)
resets = Counter("rowcast_resets", "Resets sent to streams, by reason.", [*FEED, "reason"])
rejections = Counter("rowcast_rejections", "Streams turned away.", [*FEED, "reason"])
refused = Counter(
    "rowcast_refused", "Requests whose sender may not read what they ask for.", [*FEED, "reason"]
)
streams_handed_over = Counter(
    "rowcast_streams_handed_over", "Streams given to another worker of the server.", FEED
)
streams_taken = Counter(
    "rowcast_streams_taken", "Streams taken from another worker of the server.", FEED
)
hand_over_refused = Counter(
    "rowcast_hand_over_refused",
    "Times that another worker did not take streams, by reason.",
    [*FEED, "reason"],
)
hand_over_wait_seconds = Histogram(
    "rowcast_hand_over_wait_seconds",
    "From the signal to a worker until a batch of its streams had moved.",
    FEED,
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)

# What may be said of a feed. An alert sees an increase only of what was there before, at 0.
KINDS: dict[Counter, tuple[str, ...]] = {
    resumes: ("log", "ring", "table"),
    resets: (
        "history-changed",
        "ids-restarted",
        "malformed-id",
        "unknown-history",
        "ahead-of-table",
        "unknown-rows",
        "view-changed",
        "beyond-replay",
        "not-proven",
    ),
    rejections: ("full", "address", "draining", "not-ready", "authorize-failed"),
    refused: (
        "forbidden",
        "unauthenticated",
        "expired",
        "mistake",
        "origin",
        "query",
        "filter",
        "signature",
        "other-feed",
    ),
}


def count_from_zero(feed: str) -> None:
    """Have all counters of a feed, before anything is counted."""
    for counter, kinds in KINDS.items():
        for kind in kinds:
            counter.labels(feed, kind)
    for counter in (
        streams_cut,
        rows_unreadable,
        values_withheld,
        poll_failures,
        gaps_dead,
        rows_late,
    ):
        counter.labels(feed)
    lag_seconds.labels(feed)


# A collector of the application's that fails is none of our business.
OURS = CollectorRegistry()
for _metric in [one for one in globals().values() if isinstance(one, MetricWrapperBase)]:
    OURS.register(_metric)


class Kept:
    """A gauge of one feed, with its labels, that is written only when its value is another one.

    Under gunicorn each write goes into a file, and a poll without news changes no gauge. Nobody
    else may write the same one.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._value: float | None = None

    def set(self, value: float) -> None:
        if value != self._value:
            self._gauge.set(value)
            self._value = value


class _Of(Collector):
    """Our own metrics of these feeds. What else the application counts, or another notifier, is
    not for those who may read this one's."""

    def __init__(self, registry: Collector, feeds: Collection[str]) -> None:
        self._registry = registry
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            if metric.name.startswith(PREFIX):
                metric.samples = [
                    one for one in metric.samples if one.labels.get("feed") in self._feeds
                ]
                yield metric


def expose(feeds: Collection[str]) -> tuple[bytes, str]:
    """The text of the metrics of all workers for these feeds, and its content type."""
    registry = OURS
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    ours = CollectorRegistry(auto_describe=False)
    ours.register(_Of(registry, feeds))
    return generate_latest(ours), CONTENT_TYPE_LATEST


def _forget_the_dead(folder: Path) -> None:
    """The gauges of a worker that ended no longer count, however it ended; its counters do."""
    for pid in {file.stem.rpartition("_")[2] for file in folder.glob("gauge_live*.db")}:
        if not _lives(int(pid)):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
