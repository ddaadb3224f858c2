"""What a request for rows asks for, whichever form they are to have."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from flask import request

from poller.access.admission import Admission
from poller.access.signed import PARAMETER as SIGNED
from poller.delivery.view import View
from poller.feed import Feed
from poller.service import Service
from poller.serving.streams import StreamRequest
from poller.serving.tenure import Tenure

# What a proxy tells, and what Werkzeug's ProxyFix leaves where it was believed.
PROXIED = frozenset(["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"])
BELIEVED = "werkzeug.proxy_fix.orig"
UNREADABLE = "?"  # answered with a reset
FROM_NOW = "now"
NULL = "null"  # `?null=room`: a filter's value that no text is
OWN_NAMES = frozenset([SIGNED, NULL, "after", "wait", "limit", "last_event_id", "lastEventId"])

SHOWN_CHARS = 40  # of what was asked for, in an error's text

# The values by column; None is NULL.
Filter = dict[str, list[str | None]]


def filter_of(feed: Feed) -> Filter:
    """The rows that the query asks for. Raises ValueError, in words, for a column of the feed that
    is no filter. Names that are nobody's are passed over: caches and campaigns add theirs."""
    try:
        asked = request.args
    except UnicodeDecodeError:
        if feed.watch.filters:
            raise ValueError("the query is not UTF-8") from None
        return {}
    found: Filter = {}
    if not asked:
        return found
    for name in {*asked} - OWN_NAMES:
        if name in feed.watch.filters or feed.shows(name):
            found[name] = [*asked.getlist(name)]
    for name in asked.getlist(NULL):
        found.setdefault(name, []).append(None)
    for name in found:
        if name not in feed.watch.filters:
            raise ValueError(no_filter(name))
    return found


def no_filter(name: str) -> str:
    """What to tell of a name by which no rows can be chosen."""
    return f"{name[:SHOWN_CHARS]} is no filter of this feed"


def signature() -> list[tuple[str, str]]:
    """What this request's query says of a signature, if there is one."""
    return [(SIGNED, request.args[SIGNED])] if SIGNED in request.args else []


def written(chosen: Mapping[str, Iterable[object]]) -> list[tuple[str, str]]:
    """Columns and values as names and values of a query, alike for all who ask alike."""
    pairs = {
        (NULL, name) if value is None else (name, _text(value))
        for name, values in chosen.items()
        for value in values
    }
    return sorted(pairs)


def _text(value: object) -> str:
    if isinstance(value, enum.Enum):
        return _text(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def stream_request(
    service: Service,
    feed: Feed,
    places: Admission,
    after: str | None,
    view: View,
    tenure: Tenure,
) -> StreamRequest:
    """The stream that this request asks for, whose place is to be one of `places`."""
    address = request.remote_addr
    if PROXIED & request.environ.keys() and BELIEVED not in request.environ:
        service.admission.note_forwarded(address)
    turn = service.turns.of(address, feed.name)
    return StreamRequest(after, address or "", places.ticket(address), turn, view, tenure)


def last_event_id() -> str | None:
    """The header wins: a client that reconnects may keep its first URL. `lastEventId` is what
    polyfills add at a reconnect, so it is newer than what the page wrote into the URL."""
    if header := request.environ.get("HTTP_LAST_EVENT_ID"):
        return str(header)
    try:
        asked = request.args
    except UnicodeDecodeError:  # raw bytes in the query; whatever they were, it is no id of ours
        return UNREADABLE
    if not asked:
        return None
    return asked.get("lastEventId") or asked.get("last_event_id") or after()


def after() -> str | None:
    """The token in the URL. Raises UnicodeDecodeError for raw bytes in the query."""
    token = request.args.get("after")
    return None if token == FROM_NOW else token or None
