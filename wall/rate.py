"""How often one address may do something. Counted in the memory of each worker: with n workers an
address may do it up to n times as often. `WallSettings.post_rate` says so to the operator.
"""

from __future__ import annotations

import math
import time
from functools import cached_property

from flask import request
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from poller import client_network
from wall.errors import Refused


class Limit:
    """`rate` is "30 per minute", or several with `;` between. `many` is what there were many of,
    `what` can be done again later."""

    def __init__(self, rate: str, many: str, what: str) -> None:
        self._limits = parse_many(rate)
        self._message = f"That was many {many} in a short time. You can {what} again in {{}} s."

    @cached_property
    def _limiter(self) -> MovingWindowRateLimiter:
        # Made at the first use: it starts a timer, which must not be copied by a fork.
        return MovingWindowRateLimiter(MemoryStorage())

    def check(self) -> None:
        """Raises Refused(429), with the seconds to wait, where the request's client has used it
        up."""
        client = client_network(request.remote_addr)
        for limit in self._limits:
            if not self._limiter.test(limit, client):
                reset_at = self._limiter.get_window_stats(limit, client).reset_time
                wait_s = max(1, math.ceil(reset_at - time.time()))
                raise Refused(429, self._message.format(wait_s), retry_after_s=wait_s)

    def count(self) -> None:
        """Counts one of the request's client; raises as `check()`, and then counts none."""
        self.check()
        client = client_network(request.remote_addr)
        for limit in self._limits:
            self._limiter.hit(limit, client)


def posts(rate: str) -> Limit:
    """Of posts, and of changes of them."""
    return Limit(rate, "posts", "post")


def guesses() -> Limit:
    """Of wrong tokens."""
    return Limit("10 per minute; 60 per hour", "wrong tokens", "try")
