"""What a request for rows asks for, whichever form they are to have."""

from __future__ import annotations

from flask import abort, request

from poller.access.admission import Admission
from poller.access.granted import PUBLIC
from poller.feed import Feed
from poller.service import Service
from poller.serving.streams import StreamRequest

# What a proxy tells, and what Werkzeug's ProxyFix leaves where it was believed.
PROXIED = frozenset(["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"])
BELIEVED = "werkzeug.proxy_fix.orig"
UNREADABLE = "?"  # answered with a reset
FROM_NOW = "now"


def feed(service: Service, name: str | None) -> Feed:
    """A feed by name, or the default one. An unknown one is 404."""
    found = service.feeds.get(service.default_feed if name is None else name)
    if found is None:
        abort(404)
    if found.watch.authorize != PUBLIC:
        abort(403)  # nobody has asked yet whether this request may read it
    return found


def stream_request(
    service: Service, feed: Feed, places: Admission, after: str | None
) -> StreamRequest:
    """The stream that this request asks for, whose place is to be one of `places`."""
    address = request.remote_addr
    if PROXIED & request.environ.keys() and BELIEVED not in request.environ:
        service.admission.note_forwarded(address)
    turn = service.turns.of(address, feed.name)
    return StreamRequest(after, address or "", places.ticket(address), turn)


def last_event_id() -> str | None:
    """The header wins: a client that reconnects may keep its first URL. `lastEventId` is what
    polyfills add at a reconnect, so it is newer than what the page wrote into the URL."""
    if header := request.headers.get("Last-Event-ID"):
        return header
    try:
        asked = request.args
    except UnicodeDecodeError:  # raw bytes in the query; whatever they were, it is no id of ours
        return UNREADABLE
    return asked.get("lastEventId") or asked.get("last_event_id") or after()


def after() -> str | None:
    """The token in the URL. Raises UnicodeDecodeError for raw bytes in the query."""
    token = request.args.get("after")
    return None if token == FROM_NOW else token or None
