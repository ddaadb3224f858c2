"""What was seen, and nothing of what it means. All of it can be written down as JSON, so that a
look at a server can be kept and judged again.

Times are in seconds since the request began to connect.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# OPEN: we left while it went on. WHOLE: it ended in good order. CUT: the connection was gone before
# the end. SILENT: not even a head came.
End = Literal["open", "whole", "cut", "silent"]


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of the body that were there at once, still compressed if they are."""

    at_s: float
    data: bytes


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came of it. `problem`: why there was no connection."""

    problem: str = ""
    connected_s: float = 0.0
    head_s: float = 0.0
    http: str = ""  # as the head says: 1.0 or 1.1
    status: int = 0
    headers: list[tuple[str, str]] = []
    arrivals: list[Arrival] = []
    end: End = "silent"
    end_s: float = 0.0

    def all(self, name: str) -> list[str]:
        """The values of a header, each time that it stands in the head."""
        return [value for one, value in self.headers if one.lower() == name.lower()]

    def header(self, name: str) -> str:
        """All its values in one, empty if there is none."""
        return ", ".join(self.all(name))


class Resumed(msgspec.Struct, frozen=True):
    """A stream opened again behind an id. `by`: the header or parameter that told it."""

    by: str
    after: str
    answer: Answer


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """`first` is the long look. `server` is the answer to a HEAD where the stream gave no head.
    `streams` is how many one connection of HTTP/2 may carry, None if the server names no number."""

    url: str
    tls: bool
    here: bool = False  # on this machine
    redirects: list[str] = []
    first: Answer
    encoding: str = ""  # that a browser would get
    server: Answer | None = None
    resumed: list[Resumed] = []
    http2: bool = False
    streams: int | None = None
    origin: str = ""
    same_origin: bool = False
    cors: Answer | None = None
    preflight: Answer | None = None
    asked_headers: list[str] = []  # names of those that the caller added
