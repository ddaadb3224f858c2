"""The status page, the same as JSON and as a stream; and its form for the operator's token.

Addresses in the page are relative, so that it works behind whatever prefix a proxy puts before it.
The form's token goes into a header and never into an address: those are in logs and histories.
"""

from __future__ import annotations

import gzip
import time
from functools import cache
from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, abort, request

from poller.access.granted import PUBLIC
from poller.service import Service
from poller.serving.streams import StreamRequest
from poller.serving.tenure import UNBOUNDED, Tenure
from poller.status.live import LABEL
from poller.web import cors
from poller.web.current import current_service, ensure_started
from poller.web.operator import (
    give_cookie,
    has_cookie,
    has_token,
    may_see,
    not_for_you,
)
from poller.web.responses import JSON, StreamResponse, busy, error, json_body

POLLER = Path(__file__).parents[1]
FOLDERS = (POLLER / "static" / "status", POLLER / "watching" / "page")
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
SHARED = {"tokens.css", "dark.css", "base.css", "mark.svg"}  # with the page of `rowcast watch`
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Cookie",
    "Cache-Control": "no-store",
}


def add_to(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/status", view_func=status_page)
    blueprint.add_url_rule("/status.json", view_func=status_json)
    blueprint.add_url_rule("/status/json", view_func=status_json)  # where the cookie is sent
    blueprint.add_url_rule("/status/stream", view_func=status_stream)
    blueprint.add_url_rule("/status/enter", view_func=status_enter)
    blueprint.add_url_rule("/status/page/<part>", view_func=status_part)


def status_page() -> Response:
    """For a browser; without the token or the cookie, the form."""
    service = current_service()
    ensure_started(service)
    if _may_look(service):
        return _html("status.html", HTTPStatus.OK)
    if service.settings.operator_token is None:
        return not_for_you(service, "status")
    return _html("enter.html", HTTPStatus.UNAUTHORIZED)


def status_json() -> Response:
    """What the page shows, its hour included."""
    service = current_service()
    ensure_started(service)
    if not _may_look(service):
        return not_for_you(service, "status")
    body = json_body(service.live.report_once())
    return Response(body, content_type=JSON, headers={"Cache-Control": "no-store"})


def status_stream() -> Response:
    """A report a second. It takes none of the places of other streams: they may all be taken."""
    service, asked_at = current_service(), time.monotonic()
    ensure_started(service)
    if not _may_look(service):
        return not_for_you(service, "status")
    if cors.standing(service) == "foreign":  # its page could not read it, and would take a place
        return error(HTTPStatus.FORBIDDEN, "pages of other sites may not read this")
    live = service.live
    if service.draining or live.admission.refusal(request.remote_addr):
        return busy(LABEL, "draining" if service.draining else "full")
    client = request.remote_addr or ""
    turn = service.turns.of(request.remote_addr, LABEL)
    ticket, tenure = live.admission.ticket(request.remote_addr), _tenure(service, asked_at)
    place = StreamRequest(None, client, ticket, turn, tenure=tenure)
    return StreamResponse(live.streams, place, direct=service.settings.fanout)


def _tenure(service: Service, asked_at: float) -> Tenure:
    """Who may look is asked again after a while: a cookie ends, and so does an operator's right."""
    if service.status == PUBLIC:
        return UNBOUNDED
    return Tenure(asked_at + service.settings.stream_lifetime_s)


def status_enter() -> Response:
    """A cookie for the token, which comes as a bearer."""
    service = current_service()
    if not has_token(service):
        return not_for_you(service, "status")
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Cache-Control"] = "no-store"
    give_cookie(service, response)
    return response


def status_part(part: str) -> Response:
    """What the page is made of. There is nothing secret in it."""
    found = next((one / part for one in FOLDERS if part in _names(one)), None)
    if found is None or found.suffix not in TYPES:
        abort(404)
    content_type = f"{TYPES[found.suffix]}; charset=utf-8"
    zipped = request.accept_encodings.quality("gzip") > 0
    response = Response(_content(found, zipped=zipped), content_type=content_type)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "public, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _may_look(service: Service) -> bool:
    return has_cookie(service) or may_see(service, service.status)


def _html(name: str, status: HTTPStatus) -> Response:
    return Response(
        _content(FOLDERS[0] / name, zipped=False),
        status,
        content_type="text/html; charset=utf-8",
        headers=HEADERS,
    )


@cache
def _names(folder: Path) -> frozenset[str]:
    names = frozenset(one.name for one in folder.iterdir())
    return names if folder == FOLDERS[0] else names & SHARED


@cache
def _content(path: Path, *, zipped: bool) -> bytes:
    content = path.read_bytes()
    return gzip.compress(content, 9, mtime=0) if zipped else content
