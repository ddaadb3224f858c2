"""Routes for operators: does the process live, are the feeds ready, what do the metrics say.

A prober needs a status, and gets it whoever it is. Names of feeds, what is wrong with a table and
how busy it is are for whom the application names, or who has the operator's token.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from poller.access.granted import PUBLIC, Authorize
from poller.hints.listener import Listener
from poller.runtime import metrics
from poller.service import Service
from poller.web.current import current_service, ensure_started
from poller.web.responses import error

REALM = 'Bearer realm="rowcast"'


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
    if _may_see(service, service.health):
        answer["draining"] = service.draining
        if isinstance(service.watcher, Listener):
            answer["listen"] = service.watcher.status()
        answer["feeds"] = {name: feed.status() for name, feed in service.feeds.items()}
    return jsonify(answer), 200 if ready else 503


def expose_metrics() -> Response:
    """Prometheus' text format, summed over the workers."""
    service = current_service()
    if not _may_see(service, service.metrics):
        return _not_for_you(service)
    text, content_type = metrics.expose({feed.label for feed in service.feeds.values()})
    return Response(text, content_type=content_type)


def _may_see(service: Service, who: Authorize | str | None) -> bool:
    """A function that aborts says no: a prober gets its status all the same."""
    if who == PUBLIC or _has_token(service):
        return True
    try:
        return callable(who) and who(request) is True
    except HTTPException:
        return False


def _has_token(service: Service) -> bool:
    if (wanted := service.settings.operator_token) is None:
        return False
    given = request.authorization
    if given is None or given.type != "bearer" or given.token is None:
        return False
    token = wanted.get_secret_value()
    return secrets.compare_digest(given.token.encode(errors="replace"), token.encode())


def _not_for_you(service: Service) -> Response:
    if service.settings.operator_token is not None:
        text = "send the operator's token: Authorization: Bearer …"
        return error(HTTPStatus.UNAUTHORIZED, text, {"WWW-Authenticate": REALM})
    text = "set ROWCAST_OPERATOR_TOKEN and send it as a bearer token, or say init_app(metrics=…)"
    return error(HTTPStatus.FORBIDDEN, text)
