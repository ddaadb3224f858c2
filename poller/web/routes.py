"""The route of the streams, and one application's routes together."""

from __future__ import annotations

import random
from functools import lru_cache

from flask import Blueprint, Response, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from poller.runtime import metrics
from poller.web import asked, cors, headers, health, rows, script, status
from poller.web.admit import NoPlaceError, admit
from poller.web.current import current_service
from poller.web.responses import (
    DRAINING_RETRY_MS,
    FULL_RETRY_MS,
    EventStreamResponse,
    LinesResponse,
    StreamResponse,
    busy,
)
from poller.wire import json_lines, sse

REMEMBERED = 256  # values of `Accept`: nearly all clients send one of few


def blueprint(name: str, *, with_default: bool = False, with_status: bool = False) -> Blueprint:
    """`/stream/NAME`, `/rows/NAME`, the script for pages and the routes for operators, for one
    notifier; `/stream`, too, if it has a default feed; `/status`, if anybody may see it."""
    routes = Blueprint(name, __name__)
    if with_default:
        routes.add_url_rule("/stream", view_func=stream, defaults={"name": None}, **cors.ROUTE)
    routes.add_url_rule("/stream/<name>", view_func=stream, **cors.ROUTE)
    routes.add_url_rule("/rows/<name>", view_func=rows.rows, **cors.ROUTE)
    routes.after_request(headers.protect)
    cors.add_to(routes)
    health.add_to(routes)
    script.add_to(routes)
    if with_status:
        status.add_to(routes)
    return routes


@cors.reads
def stream(name: str | None) -> Response:
    """Rows as they are committed. Holds no session and no connection while it runs.

    JSON lines go through the server: few read them, and they hold its connections.
    """
    service, lines = current_service(), _wants_lines()
    places = service.waiting if lines else service.admission
    try:
        admitted = admit(service, name, places, asked.last_event_id())
    except NoPlaceError as full:
        return _come_back(full.feed, full.reason, lines=lines)
    feed = admitted.feed
    if feed.closed:
        return Response(status=204)  # the one answer after which a client stops for good
    if service.draining:
        return _come_back(feed.label, "draining", lines=lines)
    if lines:
        return LinesResponse(feed.streams, admitted.request)
    return StreamResponse(feed.streams, admitted.request, direct=service.settings.fanout)


def _wants_lines() -> bool:
    return _likes_lines(request.environ.get("HTTP_ACCEPT", ""))


@lru_cache(maxsize=REMEMBERED)
def _likes_lines(accept: str) -> bool:
    """Only whoever names JSON lines, and likes nothing better."""
    offered = [sse.CONTENT_TYPE, json_lines.CONTENT_TYPE]
    liked = parse_accept_header(accept, MIMEAccept).best_match(offered)
    return liked == json_lines.CONTENT_TYPE


def _come_back(feed: str, reason: str, *, lines: bool) -> Response:
    """Not 503, but to readers of lines: a native EventSource would never come back."""
    if lines:
        return busy(feed, reason)
    metrics.rejections.labels(feed, reason).inc()
    retry_ms = DRAINING_RETRY_MS if reason == "draining" else FULL_RETRY_MS
    return EventStreamResponse(sse.retry_line(random.randint(*retry_ms)))
