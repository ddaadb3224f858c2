"""Routes for operators: does the process live, are the feeds ready, what do the metrics say."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from poller.runtime import metrics
from poller.web.current import current_service, ensure_started


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/healthz", view_func=healthz)
    blueprint.add_url_rule("/readyz", view_func=readyz)
    blueprint.add_url_rule("/metrics", view_func=expose_metrics)


def healthz() -> Response:
    """This process lives and can serve streams, whatever the database does."""
    ensure_started(current_service())
    return Response("ok\n", content_type="text/plain; charset=utf-8")


def readyz() -> tuple[Response, int]:
    """200 if every feed polled lately, else 503 and why."""
    service = current_service()
    ensure_started(service)
    feeds = {name: feed.status() for name, feed in service.feeds.items()}
    ready = not service.draining and all(status["ready"] for status in feeds.values())
    answer = {"ready": ready, "draining": service.draining, "feeds": feeds}
    return jsonify(answer), 200 if ready else 503


def expose_metrics() -> Response:
    """Prometheus' text format, summed over the workers."""
    text, content_type = metrics.expose()
    return Response(text, content_type=content_type)
