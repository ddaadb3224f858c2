"""Who was refused, and why: counted, and told in the log without what was asked for.

A query may hold a token, and a header does: so neither is told, and nobody who may not read can
write much into the log. Of each feed and reason there is a line a minute, which says how many.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from poller.runtime import log, metrics

LOG_AGAIN_S = 60.0


class Refusals:
    """Those of one application. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._untold: Counter[tuple[str, str]] = Counter()
        self._told_at: dict[tuple[str, str], float] = {}

    def note(self, feed: str, reason: str, client: str, **details: object) -> None:
        """One more. `details` are for the log, of the last one."""
        metrics.refused.labels(feed, reason).inc()
        self._untold[feed, reason] += 1
        now = self._clock()
        if now - self._told_at.get((feed, reason), float("-inf")) < LOG_AGAIN_S:
            return
        self._told_at[feed, reason] = now
        times = self._untold.pop((feed, reason))
        log.info("refused", feed=feed, reason=reason, times=times, last_client=client, **details)
