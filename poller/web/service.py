"""The service of the application that a request is for."""

from __future__ import annotations

from flask import Flask, current_app

from poller.service import Service

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
