"""Luggage: all that one stream needs in another process, besides its socket.

A stream's client must not notice that it moves. So what travels is what the head of the response
and the frames so far have promised: where the stream stands (`delivery/standing.py`), its view, how
long it may stay, how the body is coded, and what is left of the frame that is being written. What
the taker has of its own does not travel: log, settings, places.

A taker that cannot keep a promise refuses (`Unfit`), and the client is sent away as at any other
end. New code may serve other columns than the old, or ask who may read where nobody was asked: such
a feed has another `form`. It is compared, not understood.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from poller.access.granted import PUBLIC
from poller.delivery.standing import Standing
from poller.delivery.view import View
from poller.serving.tenure import Tenure
from poller.wire.exact import Exact

FORM_BYTES = 6


class Unfit(Exception):  # noqa: N818 - the word of the protocol
    """The stream cannot go on here; `reason` is for the log and the metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


FULL = "full"
FEED_CHANGED = "feed-changed"
VIEW_UNKNOWN = "view-unknown"


class Luggage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """That of one stream. Moments are monotonic, in seconds: that clock is the machine's.

    `epoch`, `holds` and `said_live` are its standing; `until`, `tag` and `asked_at` its tenure;
    `filter` and `shown` its view (an integer of more than 64 bits cannot travel: no row has it).
    `rest` is what is left to send of the current frame, as it goes into the socket, and `owed` how
    many bytes of its HTTP chunk are to come after that. `address` is the client's.
    """

    form: str
    epoch: str
    holds: str | None
    said_live: bool
    address: str
    chunked: bool
    written_at: float
    opened_at: float
    rows: int
    sent_bytes: int
    rest: bytes = b""
    owed: int = 0
    filter: tuple[tuple[str, tuple[Exact, ...]], ...] = ()
    shown: tuple[str, ...] | None = None
    until: float | None = None
    tag: str = ""
    asked_at: float = 0.0

    @property
    def standing(self) -> Standing:
        return Standing(self.epoch, self.holds, self.said_live)

    @property
    def view(self) -> View:
        """Raises ValueError for one that no process would send."""
        return View.of(dict(self.filter), self.shown)

    @property
    def tenure(self) -> Tenure:
        return Tenure(self.until, self.tag, self.asked_at)


def size_of(luggage: Luggage) -> int:
    """Of its message, in bytes; more than any message has if it does not go into one."""
    try:
        return len(encoded(luggage))
    except (OverflowError, TypeError, UnicodeEncodeError):
        return sys.maxsize


def encoded(luggage: msgspec.Struct) -> bytes:
    """As it travels. Raises OverflowError, TypeError or UnicodeEncodeError for what cannot."""
    return msgspec.msgpack.encode(luggage, enc_hook=_plain)


def _plain(name: object) -> str:
    """A name from a database may be of a class of its own, as SQLAlchemy's `quoted_name`."""
    if isinstance(name, str):
        return str(name)
    raise TypeError(f"{type(name).__name__} does not travel")


def form_of(kind: str, columns: Sequence[str], key: Sequence[str], *, public: bool) -> str:
    """What a stream of a feed has promised its client: another text for another promise."""
    told = msgspec.json.encode([kind, columns, key, public], enc_hook=_plain)
    return hashlib.blake2s(told, digest_size=FORM_BYTES).hexdigest()


class Formed(Protocol):
    """A feed, as far as its streams have promised something: `poller.feed.Feed`."""

    watch: Any
    log: Any

    @property
    def described(self) -> bool: ...
    @property
    def columns(self) -> Sequence[str]: ...


def form_of_feed(feed: Formed) -> str:
    """That of its streams in this process; another one before its table was looked at."""
    columns, public = feed.columns if feed.described else (), feed.watch.authorize == PUBLIC
    return form_of(type(feed.log).__name__, columns, feed.log.key, public=public)
