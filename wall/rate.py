"""How often one address may post. Counted in the memory of each worker: with n workers an address
may post up to n times the rate. `WallSettings.post_rate` says so to the operator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

from flask import Flask, request
from flask_limiter import Limiter, RateLimitExceeded

from wall.refusal import Refused

IPV6_PREFIX_BITS = 64  # what one household gets; single addresses in it are free to choose


def limited_posts(app: Flask, rate: str) -> Callable[[], None]:
    """A function that counts one post of the request's client.

    It raises Refused(429), with the seconds to wait, when `rate` ("30 per minute") is used up.
    """
    limiter = Limiter(client_network, app=app, storage_uri="memory://", strategy="moving-window")

    @limiter.limit(rate)
    def count() -> None:
        pass

    def count_post() -> None:
        try:
            count()
        except RateLimitExceeded:
            used_up = limiter.current_limit
            wait_s = math.ceil(used_up.reset_at - time.time()) if used_up else 60
            raise _refused(max(1, wait_s)) from None

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
