"""Which pages of other sites may read the feeds, told from what a browser says of a request. Pure.

A browser sends its user's cookies, and reaches its user's network, for any page that asks. So a
page of another origin gets nothing here, whatever the feed, unless the application lists its
origin. Refusing costs that page nothing, for its browser would not show it the answer anyway; and
it takes no place. Told apart are:

- *Our own page*: `Sec-Fetch-Site: same-origin`, or `none` for what the user typed. `same-site` is
  another origin: it may be a subdomain that somebody else writes, and gets the same cookies.
- *No browser*: neither `Sec-Fetch-Site` nor `Origin`. There are no cookies to misuse.
- *An older browser*, without `Sec-Fetch-Site`: it sends `Origin` with what a page of another origin
  asks for by script, and this is compared with the host that was asked.
- *A link that was followed*: the answer is shown to the user, and no page can read it.
- *A signed address*: it says by itself what it is good for, so any page that has it may read, but
  gets no answer that is made for cookies.

`Origin: null` is what a sandboxed frame, a file and a redirect send, so anybody can: it is never
listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

ANY = "*"
OURS = ("same-origin", "none")  # of Sec-Fetch-Site
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# Of the page that asks: one that may send cookies; one that may read, without; one that may not.
# `ours` needs no permission.
Standing = Literal["ours", "listed", "any", "foreign"]


class Asking(NamedTuple):
    """What a request says of who asks. Missing headers are empty.

    The `host` is looked at only where there is an `origin`.
    """

    origin: str = ""
    site: str = ""  # Sec-Fetch-Site
    mode: str = ""  # Sec-Fetch-Mode
    destination: str = ""  # Sec-Fetch-Dest
    host: str = ""  # that was asked
    cookies: bool = False
    signed: bool = False  # the address says that it is


class Origins:
    """The origins that an application lists, or `"*"` for any, whose pages then send no cookies."""

    def __init__(self, listed: Sequence[str] | str = ()) -> None:
        """Raises ValueError, in words, for what no browser would send."""
        names = [listed] if isinstance(listed, str) else [*listed]
        self.any = ANY in names
        self.listed = frozenset(_checked(name) for name in names if name != ANY)

    def standing(self, asking: Asking) -> Standing:
        """Whether the page that asks may have an answer, and whether one for cookies."""
        if asking.origin in self.listed:
            return "listed"
        if _is_ours(asking) or (asking.mode, asking.destination) == ("navigate", "document"):
            return "ours"
        if asking.signed or (self.any and not asking.cookies):
            return "any"
        return "foreign"


def _is_ours(asking: Asking) -> bool:
    if asking.site:
        return asking.site in OURS
    page = _host(asking.origin)
    return not asking.origin or (page is not None and page == _host(f"http://{asking.host}"))


def _host(origin: str) -> tuple[str, str] | None:
    """Host and port, for comparison. Not the scheme: behind a proxy that ends TLS we are asked by
    http, whatever the browser asked by. So the default port of either is the same here."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        return None
    scheme, host, port = match[1], match[2], match[3] or ""
    return host, "" if port in (_DEFAULT_PORTS.get(scheme), *_DEFAULT_PORTS.values()) else port


def _checked(name: str) -> str:
    match = _ORIGIN.fullmatch(name)
    if match is not None and not (match[3] and match[3] == _DEFAULT_PORTS.get(match[1])):
        return name
    raise ValueError(
        f"origins: {name!r} is not what a browser sends as Origin. Write scheme and host, in lower "
        "case and without a path, and a port only if it is not the default: https://shop.example "
        'or http://localhost:5173. "*" lets any page read, without cookies'
    )
