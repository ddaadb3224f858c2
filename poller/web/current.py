"""The service of the application that a request is for, and its start with the first request."""

from __future__ import annotations

from flask import Flask, Response, abort, current_app, request

from poller.service import Service
from poller.serving import server
from poller.serving.server import UnfitServerError

EXTENSION = "rowcast"


def service_of(app: Flask) -> Service:
    """Raises RuntimeError if the application has no notifier."""
    service = app.extensions.get(EXTENSION)
    if not isinstance(service, Service):
        raise RuntimeError(  # noqa: TRY004 - nobody passed a wrong type
            "this application has no notifier: call init_app() first"
        )
    return service


def current_service() -> Service:
    return service_of(current_app)


def ensure_started(service: Service) -> None:
    """Begin to poll with the first request. If streams would hang, answers 503 and why."""
    try:
        service.ensure_started(server.identify(request.environ))
    except UnfitServerError as error:
        text = f"This process cannot serve streams: {error}.\n"
        abort(Response(text, 503, content_type="text/plain; charset=utf-8"))
