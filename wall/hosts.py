"""Which host names the wall answers to: its defence against DNS rebinding.

A page elsewhere can let its own name lead to this machine, and then read the wall as if it were
its own site. The browser gives the attack away: it sends the page's name as `Host`. An address
cannot be taken over like that, so probers may ask for the operators' routes by address.

Werkzeug has such a list, too, but it minds case and cannot hold an IPv6 address.
"""

from __future__ import annotations

from ipaddress import ip_address

from flask import request
from werkzeug.exceptions import SecurityError

from wall.settings import WallSettings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
OPERATORS = ("/healthz", "/readyz", "/metrics")


class TrustedHosts:
    """The names and addresses that are answered to; `.example.org` stands for all below it."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._hosts = frozenset(map(_canonical, hosts))
        self._suffixes = tuple(host for host in self._hosts if host.startswith("."))

    def require(self) -> None:
        """Raises SecurityError where the current request is for another host."""
        # Of a malformed Host, `request.host` is empty, as it is of none.
        asked = request.host if "Host" in request.headers else None
        by_address = asked is None or _is_address(asked)
        if not (self._knows(asked or "") or (by_address and request.path in OPERATORS)):
            raise SecurityError("unknown host")

    def _knows(self, host: str) -> bool:
        host = _canonical(host)
        return host in self._hosts or f".{host}".endswith(self._suffixes)


def trusted_hosts(settings: WallSettings) -> TrustedHosts | None:
    """None: any host is answered to. A wall on this machine alone has the names of this machine."""
    if settings.trusted_hosts:
        return TrustedHosts(settings.trusted_hosts)
    if settings.proxies or not _is_loopback(settings.host):
        return None
    return TrustedHosts((*LOOPBACK, settings.host))


def _canonical(host: str) -> str:
    """Without a port, in small letters, an address in its shortest form."""
    name = _without_port(host)
    return str(ip_address(name)) if _is_address(name) else name.lower().removesuffix(".")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ip_address(_without_port(host))
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)
