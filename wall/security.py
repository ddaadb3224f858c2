"""The wall's defences that are not about one route: headers, cookies, cross-site posts, proxies.

Cross-site posts are told from our own by what browsers say and pages cannot forge:
`Sec-Fetch-Site`, and where a browser sends none (plain http on a LAN), `Origin`. A client that
sends neither is no browser, and carries nobody's cookies. The form has a signed token besides.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from wall.errors import Refused
from wall.hosts import trusted_hosts
from wall.settings import WallSettings

log = logging.getLogger("rowcast.wall")

LARGEST_BODY_BYTES = 64 * 1024  # a post of 2,000 characters has at most 24 KB, also as a form
MOST_FORM_PARTS = 20

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

NO_SESSION = (
    *("/stream", "/rows/", "/rowcast.", "/healthz", "/readyz", "/metrics", "/status"),
    *("/static/", "/theme.", "/logo", "/screen", "/feed.atom"),
)

csrf = CSRFProtect()


def install(app: Flask, settings: WallSettings) -> None:
    """Sets `app` up; the secret key comes from the caller."""
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=LARGEST_BODY_BYTES,
        MAX_FORM_PARTS=MOST_FORM_PARTS,
        SESSION_COOKIE_NAME="rowcast",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        WTF_CSRF_CHECK_DEFAULT=False,  # JSON has no token: the view asks for the form's
        WTF_CSRF_TIME_LIMIT=None,  # a wall stays open for days
        WTF_CSRF_SSL_STRICT=False,  # the Referer; Sec-Fetch-Site and Origin say it better
    )
    if hosts := trusted_hosts(settings):
        app.before_request(hosts.require)
    else:
        log.warning(
            "any host name is answered, so pages elsewhere can read and post by DNS rebinding "
            "set='ROWCAST_TRUSTED_HOSTS' host=%r",
            settings.host,
        )
    app.session_interface = _Sessions()
    csrf.init_app(app)
    app.before_request(refuse_unreadable)
    app.before_request(refuse_cross_site)
    app.after_request(_add_headers)
    if settings.proxies:
        n = settings.proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=n, x_proto=n, x_host=n
        )


def refuse_unreadable() -> None:
    """Raises Refused(400) for a query that is no UTF-8: Werkzeug fails where it is looked at."""
    try:
        _ = request.args
    except UnicodeDecodeError:
        raise Refused(400) from None


def refuse_cross_site() -> None:
    """Raises Refused(403) for a changing request that another site's page made."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        # The scheme is left out: behind a proxy that ends TLS we do not know ours.
        ours = _host_of(origin) == request.host
    else:
        ours = True
    if not ours:
        raise Refused(403, "Posts are taken from the wall's own page only.")


def from_browser() -> bool:
    """Whether a page asks, which can only be ours (see above), and not a program."""
    by_form = not request.is_json
    return by_form or not {"Sec-Fetch-Site", "Origin"}.isdisjoint(request.headers.keys())


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # as for `http://[`
        return ""


def require_form_token() -> None:
    """Raises Refused(400) where the form came without the token of this browser's session."""
    try:
        csrf.protect()
    except CSRFError:
        message = "This form was too old or came without its cookie. Please send it again."
        raise Refused(400, message) from None


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


class _Sessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """None for what needs none: a stream, opened in thousands, is not worth a signature."""
        if request.path.startswith(NO_SESSION):
            return None
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Secure where the wall is reached by https, so that plain http on a LAN works too."""
        return request.is_secure
