"""The route of the streams, and one application's routes together."""

from __future__ import annotations

import random

from flask import Blueprint, Response, request

from poller.feed import Feed
from poller.runtime import metrics
from poller.service import Service
from poller.web import asked, headers, health, rows, script
from poller.web.current import current_service, ensure_started
from poller.web.responses import (
    DRAINING_RETRY_MS,
    FULL_RETRY_MS,
    EventStreamResponse,
    LinesResponse,
    StreamResponse,
    busy,
)
from poller.wire import json_lines, sse


def blueprint(name: str, *, with_default: bool = False) -> Blueprint:
    """`/stream/NAME`, `/rows/NAME`, the script for pages and the routes for operators, for one
    notifier; `/stream`, too, if it has a default feed."""
    routes = Blueprint(name, __name__)
    # A trailing slash must not make a native EventSource give up for good.
    if with_default:
        of = {"name": None}
        routes.add_url_rule("/stream", view_func=stream, defaults=of, strict_slashes=False)
    routes.add_url_rule("/stream/<name>", view_func=stream, strict_slashes=False)
    routes.after_request(headers.protect)
    rows.add_to(routes)
    health.add_to(routes)
    script.add_to(routes)
    return routes


def stream(name: str | None) -> Response:
    """Rows as they are committed. Holds no session and no connection while it runs."""
    service = current_service()
    feed = asked.feed(service, name)
    if feed.closed:
        return Response(status=204)  # the one answer after which a client stops for good
    ensure_started(service)
    if _wants_lines():
        return _lines(service, feed)
    if service.draining:
        return _turn_away(feed, "draining", DRAINING_RETRY_MS)
    if reason := service.admission.refusal(request.remote_addr):
        return _turn_away(feed, reason, FULL_RETRY_MS)
    wanted = asked.stream_request(service, feed, service.admission, asked.last_event_id())
    return StreamResponse(feed.streams, wanted, direct=service.settings.fanout)


def _lines(service: Service, feed: Feed) -> Response:
    """The same as JSON lines, through the server: few read them, and they hold its connections."""
    if service.draining:
        return busy(feed.name, "draining")
    if reason := service.waiting.refusal(request.remote_addr):
        return busy(feed.name, reason)
    wanted = asked.stream_request(service, feed, service.waiting, asked.last_event_id())
    return LinesResponse(feed.streams, wanted)


def _wants_lines() -> bool:
    """Only whoever names JSON lines, and likes nothing better."""
    offered = [sse.CONTENT_TYPE, json_lines.CONTENT_TYPE]
    return request.accept_mimetypes.best_match(offered) == json_lines.CONTENT_TYPE


def _turn_away(feed: Feed, reason: str, retry_ms: tuple[int, int]) -> Response:
    """Not 503: a native EventSource would never come back."""
    metrics.rejections.labels(feed.name, reason).inc()
    return EventStreamResponse(sse.retry_line(random.randint(*retry_ms)))
