"""Pages of other origins: refused before a place is taken, unless the application lists theirs.

`access/origins.py` says who counts as what. The headers here let a listed page read the answers,
errors included, and send its cookies; where any page may read, they allow no cookies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import Blueprint, Response, request

from poller.access import signed
from poller.access.origins import Asking, Standing
from poller.service import Service
from poller.web.current import current_service

VIEWS = frozenset(["stream", "rows"])  # whose answers have rows
READS = "GET, HEAD"
# For a route of theirs. A trailing slash must not make a native EventSource give up for good.
ROUTE: Mapping[str, Any] = {
    "methods": ["GET", "OPTIONS"],
    "provide_automatic_options": False,
    "strict_slashes": False,
}
# What clients that are no EventSource send; a preflight may ask for others.
USUAL_HEADERS = ("Authorization", "Cache-Control", "Last-Event-ID")
EXPOSED_HEADERS = "Date, Link, Retry-After"
PREFLIGHT_KEPT_S = 600
MOST_ASKED = 20  # headers of one preflight

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)


def add_to(blueprint: Blueprint) -> None:
    """To all routes, of which those with rows are concerned."""
    blueprint.after_request(add_headers)


def reads(view: Callable[[str | None], Response]) -> Callable[[str | None], Response]:
    """A decorator for the VIEWS: they answer a preflight before anything else."""

    @wraps(view)
    def answer(name: str | None) -> Response:
        return options_answer() if request.method == "OPTIONS" else view(name)

    return answer


def standing(service: Service) -> Standing:
    """Of the page that this request comes from."""
    said = request.environ
    origin = said.get("HTTP_ORIGIN", "")
    return service.origins.standing(
        Asking(
            origin=origin,
            site=said.get("HTTP_SEC_FETCH_SITE", ""),
            mode=said.get("HTTP_SEC_FETCH_MODE", ""),
            destination=said.get("HTTP_SEC_FETCH_DEST", ""),
            host=request.host if origin else "",  # which takes a while to read
            cookies="HTTP_COOKIE" in said,
            signed=is_signed(),
        )
    )


def is_signed() -> bool:
    """Whether the address says that it is signed."""
    try:
        return signed.PARAMETER in request.args
    except UnicodeDecodeError:  # raw bytes in the query
        return False


def add_headers(response: Response) -> Response:
    """Of each answer of the routes with rows: which page may read it, and that this depends."""
    if (request.endpoint or "").rpartition(".")[2] not in VIEWS:
        return response
    if response.headers.getlist("Vary"):
        response.vary.add("Origin")
    else:
        response.headers.add("Vary", "Origin")
    match standing(current_service()):
        case "listed":
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Credentials"] = "true"
        case "any":
            response.headers["Access-Control-Allow-Origin"] = "*"
        case _:
            return response
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response


def options_answer() -> Response:
    """The answer to OPTIONS, the same for each name of a feed. A preflight brings no credentials:
    so nobody is asked who may read."""
    answer = Response(status=204)
    answer.headers["Allow"] = f"{READS}, OPTIONS"
    if "Access-Control-Request-Method" not in request.headers:
        return answer
    answer.vary.update(["Access-Control-Request-Method", "Access-Control-Request-Headers"])
    if standing(current_service()) in ("listed", "any"):
        answer.headers["Access-Control-Allow-Methods"] = READS
        answer.headers["Access-Control-Allow-Headers"] = _headers_allowed()
        answer.headers["Access-Control-Max-Age"] = str(PREFLIGHT_KEPT_S)
    return answer


def _headers_allowed() -> str:
    """The usual ones, and what this page asks for: an application may look at any header."""
    asked = request.headers.get("Access-Control-Request-Headers", "").split(",")[:MOST_ASKED]
    named = [name for name in map(str.strip, asked) if _TOKEN.fullmatch(name)]
    usual = {name.lower() for name in USUAL_HEADERS}
    return ", ".join([*USUAL_HEADERS, *(name for name in named if name.lower() not in usual)])
