"""Who is an operator: whoever the application names, or who has the operator's token.

A program sends the token as a bearer. A browser cannot: it sends it once, from a form, and gets a
cookie for it. That is a time and its signature with the token as the key, so that every worker can
read it, none keeps anything, and a new token ends it. It is for the folder of the address that gave
it, whatever proxies put before that, for no script, and for no request from another site.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from http import HTTPStatus

from flask import Response, request
from werkzeug.exceptions import HTTPException

from poller.access.granted import PUBLIC, Authorize, now
from poller.service import Service
from poller.web.responses import error

REALM = 'Bearer realm="rowcast"'
COOKIE = "rowcast-operator"
LASTS_S = 12 * 3600
MEANING = b"rowcast operator "  # so that a signature is good for nothing else


def may_see(service: Service, who: Authorize | str | None) -> bool:
    """A function that aborts says no: a prober gets its status all the same."""
    if who == PUBLIC or has_token(service):
        return True
    try:
        return callable(who) and who(request) is True
    except HTTPException:
        return False


def has_token(service: Service) -> bool:
    """Whether the request brings the token. A wrong one is counted.

    A right one is never refused for wrong ones of others: behind a proxy that nobody told of, all
    have one address, and any stranger could keep the operator's monitoring out.
    """
    given = request.authorization
    if (wanted := _token(service)) is None or given is None or given.type != "bearer":
        return False
    right = secrets.compare_digest((given.token or "").encode(errors="replace"), wanted)
    if not right:
        service.guesses.wrong(request.remote_addr)
    return right


def has_cookie(service: Service) -> bool:
    """Whether the request brings the cookie of somebody who had the token."""
    wanted, (until, _, signature) = _token(service), request.cookies.get(COOKIE, "").partition(".")
    if wanted is None or not (until.isascii() and until.isdecimal()):
        return False
    signed = hmac.compare_digest(signature.encode(errors="replace"), _sign(wanted, until).encode())
    return signed and int(until) > now()


def give_cookie(service: Service, response: Response) -> None:
    """For a request that has the token."""
    until = str(int(now() + LASTS_S))
    if (wanted := _token(service)) is not None:
        response.set_cookie(
            COOKIE,
            f"{until}.{_sign(wanted, until)}",
            max_age=LASTS_S,
            path=None,  # the folder of the address, as the browser sees it
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )


def not_for_you(service: Service, option: str) -> Response:
    """Why there is nothing, to a program; `option` of `init_app()` would open it."""
    if service.settings.operator_token is None:
        text = (
            f"set ROWCAST_OPERATOR_TOKEN and send it as a bearer token, or say init_app({option}=…)"
        )
        return error(HTTPStatus.FORBIDDEN, text)
    if service.guesses.too_many(request.remote_addr):
        text = "there were too many wrong tokens from your address"
        return error(HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": str(wait_s(service))})
    text = "send the operator's token: Authorization: Bearer …"
    return error(HTTPStatus.UNAUTHORIZED, text, {"WWW-Authenticate": REALM})


def wait_s(service: Service) -> int:
    return service.guesses.wait_s()


def _token(service: Service) -> bytes | None:
    token = service.settings.operator_token
    return None if token is None else token.get_secret_value().encode()


def _sign(token: bytes, until: str) -> str:
    return hmac.new(token, MEANING + until.encode(), hashlib.sha256).hexdigest()
