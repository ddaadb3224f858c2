"""What a poller tells of its gaps: the metrics, and one line for a gap that stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from poller.ids.gaps import Gap, Gaps, Witness
from poller.runtime import metrics

LONG_OPEN_S = 60.0  # a gap that is open for longer is logged, once

Holders = Callable[[Witness], Iterable[str]]


class GapReport:
    """`tell` logs: an event and its values."""

    def __init__(self, feed: str, tell: Callable[..., None]) -> None:
        self._feed = feed
        self._tell = tell
        self._told_since = float("-inf")  # gaps known since then or earlier were logged

    def after_pass(self, gaps: Gaps, dead: int, late: int, holders: Holders, now: float) -> None:
        """`dead` gaps were closed by this pass, and `late` rows found in gaps."""
        known = gaps.all
        oldest = min((gap.since for gap in known), default=now)
        names = {name for witness in {gap.witness for gap in known} for name in holders(witness)}
        metrics.open_gaps.labels(self._feed).set(len(known))
        metrics.oldest_gap_seconds.labels(self._feed).set(now - oldest)
        metrics.gap_holders.labels(self._feed).set(len(names))
        metrics.gaps_dead.labels(self._feed).inc(dead)
        metrics.rows_late.labels(self._feed).inc(late)
        self._tell_of([gap for gap in known if now - gap.since > LONG_OPEN_S], holders)

    def _tell_of(self, long_open: list[Gap], holders: Holders) -> None:
        new = [gap for gap in long_open if gap.since > self._told_since]
        if not new:
            return
        self._told_since = max(gap.since for gap in new)
        names = sorted({name for gap in new for name in holders(gap.witness)})
        self._tell(
            "warning",
            "gap open for long",
            feed=self._feed,
            ids=[[gap.low, gap.high] for gap in new[:10]],
            gaps=len(new),
            seconds=LONG_OPEN_S,
            holders=names,
        )
