"""How often one address may post. Counted in the memory of each worker: with n workers an address
may post up to n times the rate. `WallSettings.post_rate` says so to the operator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from flask import request
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from wall.refusal import Refused

IPV6_PREFIX_BITS = 64  # what one household gets; single addresses in it are free to choose


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
        client = client_network()
        for limit in limits:
            if not limiter().hit(limit, client):
                reset_at = limiter().get_window_stats(limit, client).reset_time
                raise _refused(max(1, math.ceil(reset_at - time.time())))

    return count_post


def client_network() -> str:
    """Who is counted as one: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, IPV6_PREFIX_BITS), strict=False))
    return str(address)


def _refused(wait_s: int) -> Refused:
    message = f"That was many posts in a short time. You can post again in {wait_s} s."
    return Refused(429, message, retry_after_s=wait_s)
