"""Who is counted as one client, told from the address of a connection. Pure.

The address is what the application was given (`REMOTE_ADDR`): the client's own, or the one a proxy
told, if the application believes it. This file knows nothing of proxies.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

IPV6_PREFIX_BITS = 64  # what one household gets; single addresses in it are free to choose
UNKNOWN = "unknown"  # no address, as over a unix socket, or none that can be read


def client_network(remote_addr: str | None) -> str:
    """An IPv4 address, the /64 of an IPv6 one, or `unknown`. A mapped IPv4 address is itself."""
    address = _parse(remote_addr)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), IPV6_PREFIX_BITS), strict=False))
    return UNKNOWN if address is None else str(address)


def single_client(remote_addr: str | None) -> str | None:
    """As `client_network()`; None if the address may be everybody's.

    That is loopback and no address at all: so all clients look behind a proxy on this machine that
    the application was not told of. Whoever really is on this machine is its operator.
    """
    address = _parse(remote_addr)
    return None if address is None or address.is_loopback else client_network(remote_addr)


def _parse(remote_addr: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(remote_addr or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
