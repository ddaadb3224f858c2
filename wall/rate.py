"""How often one address may post. Counted in the memory of each worker: with n workers an address
may post up to n times the rate. `WallSettings.post_rate` says so to the operator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache

from flask import request
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from poller import client_network
from wall.errors import Refused


def limited_posts(rate: str) -> Callable[[], None]:
    """A function that counts one post of the request's client.

    It raises Refused(429), with the seconds to wait, when `rate` ("30 per minute") is used up.
    """
    limits = parse_many(rate)

    # Made at the first post: it starts a timer, which must not be copied by a fork.
    @cache
    def limiter() -> MovingWindowRateLimiter:
        return MovingWindowRateLimiter(MemoryStorage())

    def count_post() -> None:
        client = client_network(request.remote_addr)
        for limit in limits:
            if not limiter().hit(limit, client):
                reset_at = limiter().get_window_stats(limit, client).reset_time
                raise _refused(max(1, math.ceil(reset_at - time.time())))

    return count_post


def _refused(wait_s: int) -> Refused:
    message = f"That was many posts in a short time. You can post again in {wait_s} s."
    return Refused(429, message, retry_after_s=wait_s)
