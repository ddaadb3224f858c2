"""`/screen`: the wall for a television in an office, where nobody scrolls, clicks or signs in.

`?theme=light` or `dark` sets the look where the set cannot, and `?columns=2` to `4` the columns.
Anything else is ignored: a screen with an old address on it has to show something.
"""

from __future__ import annotations

import hashlib
from functools import cache

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from wall import page
from wall.current import this_wall
from wall.settings import PROJECT
from wall.table import NO_TABLE

POSTS = 24  # more than fit: short ones leave room
THEMES = ("light", "dark")
COLUMNS = ("2", "3", "4")

blueprint = Blueprint("screen", __name__)


@blueprint.get("/screen")
def screen() -> ResponseReturnValue:
    """The newest posts, each at most once, and where their stream goes on."""
    theme = request.args.get("theme")
    columns = request.args.get("columns")
    text = render_template(
        "screen.html",
        snapshot=page.newest(posts=POSTS),
        theme=theme if theme in THEMES else None,
        columns=columns if columns in COLUMNS else None,
        heartbeat_s=this_wall().settings.heartbeat_s,
        most=POSTS,
        no_table=NO_TABLE if this_wall().table.is_unusable else None,
        version=_version(),
    )
    return make_response(text, 200, page.PRIVATE)


@cache
def _version() -> str:
    """Of the script and the styles: a screen that was on through a deploy loads itself again."""
    folders = (PROJECT / "static", PROJECT / "templates")
    files = sorted(path for folder in folders for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
