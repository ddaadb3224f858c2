"""The service that a request is for, and its start with the first request.

An application may have several notifiers, each with a name: the blueprint's, and the key in
`app.extensions`.
"""

from __future__ import annotations

from flask import Flask, Response, abort, current_app, request

from poller.service import Service
from poller.serving import server
from poller.serving.server import UnfitServerError

EXTENSION = "rowcast"


def service_of(app: Flask, name: str = EXTENSION) -> Service:
    """Raises RuntimeError if the application has no notifier of that name."""
    service = app.extensions.get(name)
    if not isinstance(service, Service):
        raise RuntimeError(  # noqa: TRY004 - nobody passed a wrong type
            "this application has no notifier: call init_app() first"
            if name == EXTENSION
            else f"this application has no notifier named {name}"
        )
    return service


def services_of(app: Flask) -> dict[str, Service]:
    """Those of all its notifiers, by name."""
    found = app.extensions.items()
    return {name: service for name, service in found if isinstance(service, Service)}


def check_place(app: Flask, name: str, prefix: str | None) -> None:
    """Raises RuntimeError if another notifier of `app` has this name, or these routes."""
    if name in app.extensions:
        raise RuntimeError(
            f"this application has a notifier named {name} already; name the other one: "
            'Notifier("archive"), and give its init_app() an url_prefix'
        )
    if any(one.url_prefix == (prefix or "") for one in services_of(app).values()):
        raise RuntimeError(
            "another notifier of this application has these routes: give this one an url_prefix"
        )


def current_service() -> Service:
    return service_of(current_app, request.blueprint or EXTENSION)


def ensure_started(service: Service) -> None:
    """Begin to poll with the first request. If streams would hang, answers 503 and why."""
    try:
        service.ensure_started(server.identify(request.environ))
    except UnfitServerError as error:
        text = f"This process cannot serve streams: {error}.\n"
        abort(Response(text, 503, content_type="text/plain; charset=utf-8"))
