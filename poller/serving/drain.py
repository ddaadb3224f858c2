"""When the clients that a worker sends away are to come back: not all at once."""

from __future__ import annotations

import random

# When the clients of a small worker come back, and by how much each of its streams widens that. So
# a worker sends away 500 streams a second, whatever their number. Four that end at once then send
# 2,000, which a single one that is left takes (it opens 3,000 and more), and which fit into the
# listen backlog (2,048) for the second that new workers take to start.
DRAIN_RETRY_MS = (1000, 2000)  # a client keeps the time while nobody listens: not too short
DRAIN_RETRY_MS_PER_STREAM = 2


def drain_retry_ms(streams: int) -> int:
    """When one of so many streams is to come back."""
    soonest, latest = DRAIN_RETRY_MS
    return random.randint(soonest, latest + DRAIN_RETRY_MS_PER_STREAM * streams)
