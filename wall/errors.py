"""`Refused`: a request that is not served, why, and what its sender can do about it.

Invariant: its texts are written here or by the views for people to read, and hold nothing of the
inside: no SQL, no path, no DSN, no traceback.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Flask, g, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadHost, HTTPException, MethodNotAllowed, SecurityError
from werkzeug.wrappers import Response

log = logging.getLogger("rowcast.wall")

# No address of ours can be built. The second: a name that DNS cannot have, as of 64 characters.
NO_HOST = (SecurityError, BadHost)
MESSAGES = {
    400: "The request could not be understood.",
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address does not take that kind of request.",
    408: "Your post did not arrive in time. Please send it again.",
    413: "That is too much at once: 64 KiB fit into one request.",
    415: "Send a form, or JSON with the content type application/json.",
    429: "Too many requests. Please wait a little.",
    500: "Something went wrong here. It has been written down.",
    503: "This is not available right now. Please try again soon.",
}


class Refused(Exception):  # noqa: N818 - it reads as what it says: raise Refused(...)
    """Answered as a page, or as JSON to a program; views may show it inside the form instead."""

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.status = status
        self.message = message or MESSAGES.get(status, "The request was not served.")
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s
        super().__init__(status, self.message)

    def headers(self) -> dict[str, str]:
        """What goes with the answer, in whichever form."""
        retry = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return {"X-Request-ID": request_id(), "Cache-Control": "no-store", **retry}

    def as_json(self) -> Response:
        """`{"error": …, "fields": {…}, "retry_after_s": …, "request_id": …}`."""
        answer = {"error": self.message, "request_id": request_id()}
        more = {"fields": self.fields, "retry_after_s": self.retry_after_s}
        given = {name: value for name, value in more.items() if value}
        return make_response(jsonify(answer | given), self.status, self.headers())


def install(app: Flask) -> None:
    """Every error of `app` is answered here."""
    app.register_error_handler(Refused, _answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.log_exception = _log_exception  # type: ignore[method-assign]


def request_id() -> str:
    """Names this request in the answer and in the log, so that one leads to the other."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    return str(g.request_id)


def wants_json() -> bool:
    """Whether a program asks: it sent JSON, or prefers it to HTML."""
    accepted = request.accept_mimetypes
    return request.is_json or accepted["application/json"] > accepted["text/html"]


def _log_exception(exc_info: Any) -> None:
    """In place of Flask's own, which logs the path as it came: a line feed in it forges a line."""
    message = "request raised id=%s method=%r path=%r"
    log.error(message, request_id(), request.method, request.path, exc_info=exc_info)


def _answer(refused: Refused) -> ResponseReturnValue:
    if isinstance(request.routing_exception, NO_HOST):
        return _unknown_host()
    if wants_json():
        return refused.as_json()
    page = render_template("error.html", refused=refused, request_id=request_id())
    return make_response(page, refused.status, refused.headers())


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if isinstance(error, NO_HOST):
        return _unknown_host()
    if status >= 500:
        log.error("request failed id=%s path=%r status=%d", request_id(), request.path, status)
    response = make_response(_answer(Refused(status)))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _unknown_host() -> Response:
    """Hence there is no page, whatever else is wrong with the request."""
    said = "Unknown host name. ROWCAST_TRUSTED_HOSTS lists those that are answered.\n"
    return make_response(said, 400, {"Content-Type": "text/plain"})
