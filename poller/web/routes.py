"""The routes that serve streams."""

from __future__ import annotations

import random

from flask import Blueprint, Response, abort, request

from poller.feed import Feed
from poller.runtime import metrics
from poller.serving.streams import StreamRequest
from poller.web import health, script
from poller.web.current import EXTENSION, current_service, ensure_started
from poller.web.responses import EventStreamResponse, StreamResponse
from poller.wire import sse

FULL_RETRY_MS = (5_000, 15_000)  # over a cap: come back somewhere in between
# What a proxy tells, and what Werkzeug's ProxyFix leaves where it was believed.
PROXIED = frozenset(["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"])
BELIEVED = "werkzeug.proxy_fix.orig"
UNREADABLE = "?"  # answered with a reset
DRAINING_RETRY_MS = (1_000, 2_000)  # this process ends: soon another one answers


def blueprint() -> Blueprint:
    """`/stream`, the script for pages and the routes for operators, for one application."""
    routes = Blueprint(EXTENSION, __name__)
    # A trailing slash must not make a native EventSource give up for good.
    first = {"name": None}
    routes.add_url_rule("/stream", view_func=stream, defaults=first, strict_slashes=False)
    routes.add_url_rule("/stream/<name>", view_func=stream, strict_slashes=False)
    health.add_to(routes)
    script.add_to(routes)
    return routes


def stream(name: str | None) -> Response:
    """Rows as they are committed. Holds no session and no connection while it runs."""
    service = current_service()
    if name is not None and name not in service.feeds:
        abort(404)
    feed = service.feed(name)
    if feed.closed:
        return Response(status=204)  # the one answer after which a client stops for good
    ensure_started(service)
    if service.draining:
        return _turn_away(feed, "draining", DRAINING_RETRY_MS)
    if reason := service.admission.refusal(request.remote_addr):
        return _turn_away(feed, reason, FULL_RETRY_MS)
    address = request.remote_addr
    if PROXIED & request.environ.keys() and BELIEVED not in request.environ:
        service.admission.note_forwarded(address)
    ticket, turn = service.admission.ticket(address), service.turns.of(address, feed.name)
    asked = StreamRequest(_last_event_id(), address or "", ticket, turn)
    return StreamResponse(feed.streams, asked, direct=service.settings.fanout)


def _turn_away(feed: Feed, reason: str, retry_ms: tuple[int, int]) -> Response:
    """Not 503: a native EventSource would never come back."""
    metrics.rejections.labels(feed.name, reason).inc()
    return EventStreamResponse(sse.retry_line(random.randint(*retry_ms)))


def _last_event_id() -> str | None:
    """The header wins: a client that reconnects may keep its first URL. `lastEventId` is what
    polyfills add at a reconnect, so it is newer than what the page wrote into the URL."""
    if header := request.headers.get("Last-Event-ID"):
        return header
    try:
        asked = request.args
    except UnicodeDecodeError:  # raw bytes in the query; whatever they were, it is no id of ours
        return UNREADABLE
    return asked.get("lastEventId") or asked.get("last_event_id")
