"""What of a feed's rows could not be sent: counted, and said in the log."""

from __future__ import annotations

from poller.runtime import log, metrics
from poller.wire.row import Problem


class Losses:
    """Those of one feed, as one reader of its rows meets them."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._known: set[str] = set()  # columns that the log has named

    def report(self, row_id: object, problem: Problem) -> None:
        """A row, or some of its columns. A column is named at the first row only: the next
        thousand would say the same, at every start of every worker."""
        if not problem.withheld:
            metrics.rows_unreadable.labels(self._feed).inc()
            log.warning("row unreadable", feed=self._feed, id=row_id, reason=problem.reason)
            return
        metrics.values_withheld.labels(self._feed).inc(len(problem.withheld))
        for column, reason in problem.withheld.items():
            tell = log.debug if column in self._known else log.warning
            tell("value withheld", feed=self._feed, id=row_id, column=column, reason=reason)
            self._known.add(column)
