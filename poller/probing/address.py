"""The address of a stream. It may hold a secret: a password, or a signature in its query."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
SAFE = "/?:@!$&'()*+,;=-._~%[]"  # stays as it is in a path or a query


@dataclass(frozen=True, slots=True)
class Address:
    """`target` is the path with the query, as it is asked for."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str = ""

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ValueError in words."""
        parts = urlsplit(text)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"{_shortly(text)} is no address that begins with http:// or https://")
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError:
            raise ValueError(f"the port in {_shortly(text)} is no number up to 65535") from None
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=SAFE)
        return cls(parts.scheme, parts.hostname, port, target, _authorization(parts))

    @property
    def origin(self) -> str:
        """As a browser sends it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def shown(self) -> str:
        """Without what may be secret."""
        path, mark, _ = self.target.partition("?")
        return f"{self.origin}{path}{mark and '?…'}"

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's own."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def joined(self, location: str) -> Self:
        """Where a redirect leads to. Raises ValueError."""
        there = type(self).of(urljoin(f"{self.origin}{self.target}", location))
        if there.origin != self.origin:
            return there
        return replace(there, authorization=there.authorization or self.authorization)

    def with_query(self, name: str, value: str) -> Self:
        """The same with one more parameter."""
        mark = "&" if "?" in self.target else "?"
        return replace(self, target=f"{self.target}{mark}{name}={quote(value, safe='')}")


def _authorization(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _shortly(text: str) -> str:
    """Enough to know it again."""
    return ascii(text.partition("?")[0].rpartition("@")[2][:80])
