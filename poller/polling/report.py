"""What a poller reports: its metrics, and the log lines about rows, gaps and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from poller.delivery.event_log import EventLog
from poller.delivery.losses import Losses
from poller.ids.gaps import Gaps, Part, Witness
from poller.runtime import log, metrics
from poller.wire.row import Problem, Row

LONG_OPEN_S = 60.0  # a gap that is open for longer is logged, once
SLOW_READ_S = 0.5  # a read that takes so long, and finds all there is, costs others
SLOW_LOGGED_EVERY_S = 60.0

Holders = Callable[[Witness], Iterable[str]]


class PollReport:
    """The report of one feed."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._losses = Losses(feed)
        self._polls = metrics.polls.labels(feed)
        self._seconds = metrics.poll_seconds.labels(feed)
        self._failed = metrics.poll_failures.labels(feed)
        self._encoded = metrics.rows_encoded.labels(feed)
        self._lag = metrics.lag_seconds.labels(feed)
        self._log_rows = metrics.Kept(metrics.log_rows.labels(feed))
        self._log_bytes = metrics.Kept(metrics.log_bytes.labels(feed))
        self._open_gaps = metrics.Kept(metrics.open_gaps.labels(feed))
        self._oldest_gap = metrics.Kept(metrics.oldest_gap_seconds.labels(feed))
        self._holders = metrics.Kept(metrics.gap_holders.labels(feed))
        self._dead = metrics.gaps_dead.labels(feed)
        self._late = metrics.rows_late.labels(feed)
        self._logged_since = float("-inf")  # gaps known since then or earlier were logged
        self._slow_logged_at = float("-inf")

    # -- passes -----------------------------------------------------------------------------

    def polled(self, seconds: float, event_log: EventLog) -> None:
        """A pass succeeded."""
        self._polls.inc()
        self._seconds.observe(seconds)
        self._log_rows.set(event_log.head - event_log.oldest)
        self._log_bytes.set(event_log.size_bytes)

    def found_all(self, seconds: float, counter: int | None, position: int, now: float) -> None:
        """A read took so long, though it came to the end of what there is.

        What it walks over and cannot see is rows that are not committed yet: as many, at most, as
        ids were given out above the newest row.
        """
        if seconds < SLOW_READ_S or now - self._slow_logged_at < SLOW_LOGGED_EVERY_S:
            return
        self._slow_logged_at = now
        unseen = None if counter is None else max(0, counter - position)
        log.warning("poll takes long", feed=self._feed, seconds=round(seconds, 2), ids_above=unseen)

    def failed(self, error: Exception, *, first: bool) -> None:
        """A pass failed, `first` if the one before did not."""
        self._failed.inc()
        if first:
            kind, detail = type(error).__name__, str(error)
            log.error("poll failed", feed=self._feed, error=kind, detail=detail)

    def recovered(self, failures: int) -> None:
        """A pass succeeded after so many failures."""
        log.info("poll recovered", feed=self._feed, failures=failures)

    def reset(self, reason: str) -> None:
        """The feed begins again with the table as it is now."""
        log.warning("reset", feed=self._feed, reason=reason)

    # -- rows -------------------------------------------------------------------------------

    def encoded(self, row: Row, problem: Problem | None, *, news: bool) -> None:
        """A row was encoded; `problem` says what of it was lost. `news`: not read at start."""
        self._encoded.inc()
        if problem is not None:
            self._losses.report(row.id, problem)
        if news and (created := _moment((row.columns or {}).get("created_at"))) is not None:
            lag_s = (datetime.now(UTC) - created).total_seconds()
            self._lag.observe(max(0.0, lag_s))

    # -- gaps -------------------------------------------------------------------------------

    def gaps(self, gaps: Gaps, dead: int, late: int, holders: Holders, now: float) -> None:
        """After a pass: the gaps that are open, how many it proved dead, how many rows it found in
        gaps. `now` is monotonic, in seconds."""
        known = gaps.all
        self._open_gaps.set(sum(len(part.ranges) for part in known))
        self._oldest_gap.set(now - min((part.since for part in known), default=now))
        self._holders.set(len(_names(known, holders)))
        if dead:
            self._dead.inc(dead)
        if late:
            self._late.inc(late)
        if known:
            self._log_long_open([part for part in known if now - part.since > LONG_OPEN_S], holders)

    def _log_long_open(self, long_open: list[Part], holders: Holders) -> None:
        new = [part for part in long_open if part.since > self._logged_since]
        if not new:
            return
        self._logged_since = max(part.since for part in new)
        gaps = [one for part in new for one in part.ranges]
        log.warning(
            "gap stays open",
            feed=self._feed,
            ids=[[*one] for one in gaps[:10]],
            gaps=len(gaps),
            seconds=LONG_OPEN_S,
            holders=sorted(_names(new, holders)),
        )


def _names(parts: Iterable[Part], holders: Holders) -> set[str]:
    return {name for witness in {part.witness for part in parts} for name in holders(witness)}


def _moment(value: object) -> datetime | None:
    """A date and time, as an object or as text. Without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
