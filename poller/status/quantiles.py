"""Quantiles of durations that were counted by buckets, as Prometheus estimates them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from poller.status.figures import BUCKETS


def quantile(share: float, counts: Sequence[float]) -> float | None:
    """The duration in seconds that `share` of them do not exceed; None if there are none.

    Within a bucket they are taken as spread evenly; above the last bound it is that bound.
    """
    upto = [0.0, *accumulate(counts)]
    rank = share * upto[-1]
    if not upto[-1]:
        return None
    for at, (below, here) in enumerate(pairwise(upto)):
        if here >= rank and here > below:
            low, high = (BUCKETS[at - 1] if at else 0.0), BUCKETS[at]
            if high == float("inf"):
                return low
            return low + (high - low) * (rank - below) / (here - below)
    return BUCKETS[-2]
