"""Whose wall it is: its title, its colours, its logo, and the address that people open.

All of it is read once, at start. What a page loads has a hash in its address, so browsers keep it
until the operator changes it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import segno
from flask import Blueprint, Flask, Response, abort, current_app, request, url_for
from markupsafe import Markup

from wall import theme
from wall.settings import PROJECT, SettingsError, WallSettings

LARGEST_LOGO_BYTES = 256 * 1024
# By what a file begins with, whatever its name says: a browser is told the type and must not guess.
LOGO_TYPES = {
    rb"\x89PNG\r\n\x1a\n": "image/png",
    rb"\xff\xd8\xff": "image/jpeg",
    rb"RIFF....WEBP": "image/webp",
    rb".{,1024}<svg": "image/svg+xml",
}
# An SVG that somebody opens by itself is a document: it may run nothing and load nothing.
LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
KEPT = "public, max-age=31536000, immutable"
ASKED_FOR_AGAIN = "public, no-cache"
# A name of DNS has at most 253. Above that is what somebody sent as Host, and the time that a code
# takes grows with its length, up to 0.1 s.
LONGEST_IN_QR = 300
QUIET_ZONE = 4  # modules of white around a QR code, as its standard asks for

blueprint = Blueprint("brand", __name__)


@dataclass(frozen=True)
class Served:
    """A file that is kept in memory."""

    content: bytes
    content_type: str

    @property
    def version(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:12]


@dataclass(frozen=True)
class Brand:
    """For the templates, as `brand`."""

    title: str
    about: str | None
    files: dict[str, Served]
    url: str | None

    def file(self, name: str) -> str | None:
        """Where a page gets one of `theme.css`, `theme.dark.css` and `logo`; None where the wall
        has none of its own."""
        found = self.files.get(name)
        return url_for("brand.file", name=name, v=found.version) if found else None

    @property
    def address(self) -> str:
        """What people open to write."""
        return self.url or url_for("wall.index", _external=True)

    @property
    def shown_address(self) -> str:
        """As one reads it to another."""
        return self.address.split("://", 1)[1].rstrip("/")

    @property
    def qr(self) -> Markup | None:
        """The address as a QR code in SVG; None where it leads nowhere but to this machine, or is
        none that anybody has."""
        address = self.address
        if len(address) > LONGEST_IN_QR or _is_of_this_machine(urlsplit(address).hostname or ""):
            return None
        return _qr(address)


@lru_cache(maxsize=8)
def _qr(address: str) -> Markup:
    code = segno.make_qr(address, error="m")
    return Markup(  # noqa: S704 - numbers and fixed names, by segno
        code.svg_inline(
            border=QUIET_ZONE, light="#fff", dark="#16201c", omitsize=True, svgclass="qr"
        )
    )


def install(app: Flask, settings: WallSettings) -> None:
    """Raises SettingsError for a logo that cannot be shown."""
    brand = Brand(settings.title, settings.about, _files(settings), settings.url)
    app.extensions["wall.brand"] = brand
    app.jinja_env.globals["brand"] = brand
    app.register_blueprint(blueprint)


@blueprint.get("/<any('theme.css', 'theme.dark.css', 'logo'):name>")
def file(name: str) -> Response:
    """A part of the wall's looks, if it has its own."""
    brand: Brand = app_brand()
    found = brand.files.get(name)
    if found is None:
        abort(404)
    response = Response(found.content, content_type=found.content_type)
    same = request.args.get("v") == found.version
    response.headers["Cache-Control"] = KEPT if same else ASKED_FOR_AGAIN
    response.set_etag(found.version)
    if name == "logo":
        response.headers["Content-Security-Policy"] = LOGO_POLICY
    response.make_conditional(request)
    return response


def app_brand() -> Brand:
    """The one that the current request is for."""
    brand: Brand = current_app.extensions["wall.brand"]
    return brand


def _files(settings: WallSettings) -> dict[str, Served]:
    files = {}
    if settings.accent:
        sheets = {"theme.css": theme.LIGHT, "theme.dark.css": theme.DARK}
        for name, scheme in sheets.items():
            text = theme.css(settings.accent, scheme)
            files[name] = Served(text.encode(), "text/css; charset=utf-8")
    if settings.logo:
        files["logo"] = _logo(settings.logo)
    return files


def _logo(path: Path) -> Served:
    path = PROJECT / path
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST_LOGO_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"WALL_LOGO={path} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_LOGO_BYTES:
        raise SettingsError(f"WALL_LOGO={path} has more than {LARGEST_LOGO_BYTES // 1024} KB.")
    for beginning, content_type in LOGO_TYPES.items():
        if re.match(beginning, content, re.DOTALL):
            return Served(content, content_type)
    raise SettingsError(f"WALL_LOGO={path} is no SVG, PNG, JPEG or WebP.")


def _is_of_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
