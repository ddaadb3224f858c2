"""Who is counted as one client, told from the address of a connection. Pure.

The address is what the application was given (`REMOTE_ADDR`): the client's own, or the one a proxy
told, if the application believes it. This file knows nothing of proxies.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

IPV6_PREFIX_BITS = 64  # what one household gets; single addresses in it are free to choose
# Read lately: one connect asks six times. Few, since a proxy may pass on long texts for addresses.
REMEMBERED = 512
UNKNOWN = "unknown"  # no address, as over a unix socket, or none that can be read
# Some proxies write the client's port behind its address: 198.51.100.7:5555, [2001:db8::1]:5555.
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](?::[0-9]*)?|(?P<four>[0-9.]+):[0-9]*")


def client_network(remote_addr: str | None) -> str:
    """An IPv4 address, the /64 of an IPv6 one, or `unknown`. A mapped IPv4 address is itself."""
    address = _parse(remote_addr)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), IPV6_PREFIX_BITS), strict=False))
    return UNKNOWN if address is None else str(address)


@lru_cache(maxsize=REMEMBERED)
def single_client(remote_addr: str | None) -> str | None:
    """As `client_network()`; None if the address may be everybody's.

    That is loopback and no address at all: so all clients look behind a proxy on this machine that
    the application was not told of. Whoever really is on this machine is its operator. Addresses
    that cannot be read are one client together: otherwise a word for an address would lift the cap.
    """
    address = _parse(remote_addr)
    everybody = address.is_loopback if address else not remote_addr
    return None if everybody else client_network(remote_addr)


def _parse(remote_addr: str | None) -> IPv4Address | IPv6Address | None:
    written = (remote_addr or "").strip()
    port = _WITH_PORT.fullmatch(written)
    try:
        address = ip_address(port["six"] or port["four"] if port else written)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
