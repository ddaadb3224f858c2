"""The script for pages: `rowcast.js`, and `rowcast.mjs`, which is the same as a module.

The address that `rowcast.script_url()` gives to a template has a hash of the script in it, so
browsers keep it for a year. `/rowcast.js` is for pages that no template makes.

Both go out without comments: a fifth less to load.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from flask import Blueprint, Response, request, url_for

FOLDER = Path(__file__).parents[1] / "static"
HASH_DIGITS = 12
KEPT = "public, max-age=31536000, immutable"
ASKED_FOR_AGAIN = "public, no-cache"  # answered with 304 while nothing has changed

_COMMENT = re.compile(r"^ *(/\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_AFTER_CODE = re.compile(r"(?<=[;,{(]) // [^\n`\"']*$", re.MULTILINE)


def _text(name: str) -> str:
    return _AFTER_CODE.sub("", _COMMENT.sub("", (FOLDER / name).read_text(encoding="utf-8")))


_CLASSIC = _text("rowcast.js")
VERSION = hashlib.sha256(_CLASSIC.encode()).hexdigest()[:HASH_DIGITS]
# The module takes the script of its own version.
_MODULE = _text("rowcast.mjs")
TEXTS = {"js": _CLASSIC, "mjs": _MODULE.replace("./rowcast.js", f"./rowcast.{VERSION}.js")}


def address(notifier: str, kind: str) -> str:
    """Where a page gets the script, `js` or `mjs`."""
    return url_for(f"{notifier}.script", version=VERSION, kind=kind)


def add_to(blueprint: Blueprint) -> None:
    kind = "<any(js, mjs):kind>"
    blueprint.add_url_rule(f"/rowcast.{kind}", view_func=script, defaults={"version": None})
    blueprint.add_url_rule(f"/rowcast.<version>.{kind}", view_func=script)


def script(version: str | None, kind: str) -> Response:
    """The script of now, whatever version is asked for: while a deploy goes on, a page may come
    from another worker than its script. Such an answer is not kept."""
    response = Response(TEXTS[kind], content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = KEPT if version == VERSION else ASKED_FOR_AGAIN
    # Anybody may have it: a page elsewhere that reads a stream here may well load it from here.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.add_etag()
    response.make_conditional(request)
    return response
