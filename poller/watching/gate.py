"""The gate: who may see the page.

It shows a database to whoever can open it, and any page in any browser can ask 127.0.0.1. So:

- The address that is printed has a token. It opens once, and is exchanged for a cookie: what stands
  in a history, a log or a shared screen opens nothing.
- The Host header has to be ours. A page elsewhere whose name is made to point here (DNS rebinding)
  brings its own.
- Nothing may embed the page or its answers, nothing inline runs, and every route only reads.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

TOKEN_BYTES = 24
READING = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_ENTRY = (
    "This page opens with the address that rowcast watch printed, and that opens once. "
    "For another browser, start rowcast watch again.\n"
)
NO_HOST = "This address is not the one that rowcast watch printed.\n"


class Gate:
    """`port` is the server's: cookies do not tell ports apart, so its name does."""

    def __init__(self, port: int) -> None:
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"rowcast-watch-{port}"
        self._session = secrets.token_urlsafe(TOKEN_BYTES)
        self.token = secrets.token_urlsafe(TOKEN_BYTES)  # empty once it was used

    def check(self) -> AnyResponse | None:
        """Before each request: None if it may pass, else the answer."""
        if request.headers.get("Host", "").lower() not in self._hosts:
            return _refused(NO_HOST)
        if request.method not in READING:
            return _refused("This server only reads.\n", HTTPStatus.METHOD_NOT_ALLOWED)
        if _same(request.cookies.get(self._cookie, ""), self._session):
            return redirect(request.path, 303) if _asked_token() else None
        # A HEAD is a program's that looks at the link: it must not use the token up.
        if request.method == "GET" and self.token and _same(_asked_token(), self.token):
            return self._let_in()
        return _refused(NO_ENTRY)

    def _let_in(self) -> AnyResponse:
        self.token = ""
        response = redirect(request.path, 303)  # so that the token is not in the address bar
        # Not Strict: whoever clicks the address in a terminal of the web comes from another site.
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Lax")
        return response

    @staticmethod
    def add_headers(response: AnyResponse) -> AnyResponse:
        """After each request."""
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _asked_token() -> str:
    try:
        return request.args.get("token", "")
    except UnicodeDecodeError:  # raw bytes in the query
        return ""


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _refused(text: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
