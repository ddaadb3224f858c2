"""Routes for operators: does the process live, are the feeds ready, what do the metrics say.

A prober needs a status, and gets it whoever it is. Names of feeds, what is wrong with a table and
how busy it is are for whom the application names, or who has the operator's token.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from poller.hints.listener import Listener
from poller.runtime import metrics
from poller.web.current import current_service, ensure_started
from poller.web.operator import may_see, not_for_you


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/healthz", view_func=healthz)
    blueprint.add_url_rule("/readyz", view_func=readyz)
    blueprint.add_url_rule("/metrics", view_func=expose_metrics)


def healthz() -> Response:
    """This process lives and can serve streams, whatever the database does."""
    ensure_started(current_service())
    return Response("ok\n", content_type="text/plain; charset=utf-8")


def readyz() -> tuple[Response, int]:
    """200 if every feed polled lately, else 503; why, for whom it is meant."""
    service = current_service()
    ensure_started(service)
    ready = service.ready
    answer: dict[str, object] = {"ready": ready}
    if may_see(service, service.health):
        answer["draining"] = service.draining
        if isinstance(service.hints.watcher, Listener):
            answer["listen"] = service.hints.watcher.status()
        answer["feeds"] = {name: feed.status() for name, feed in service.feeds.items()}
    return jsonify(answer), 200 if ready else 503


def expose_metrics() -> Response:
    """Prometheus' text format, summed over the workers."""
    service = current_service()
    if not may_see(service, service.metrics):
        return not_for_you(service, "metrics")
    text, content_type = metrics.expose({feed.label for feed in service.feeds.values()})
    return Response(text, content_type=content_type)
