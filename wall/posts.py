"""The wall's three routes: the page, one post, and posting.

A page and its stream meet without a gap: the cursor is taken before the rows are read, and the
page carries it together with the ids that it shows. What was committed in between is then sent
once more at most, and never missed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from flask import (
    Blueprint,
    Response,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from models import PostRow, post
from models.post import AUTHOR_LENGTH, BODY_LENGTH
from poller import Database, DatabaseTimeout, Feed, Notifier
from wall.draft import Draft, checked, read_draft
from wall.errors import Refused, wants_json
from wall.security import require_form_token
from wall.settings import WallSettings

log = logging.getLogger("rowcast.wall")

PAGE_POSTS = 50
PAGES_KEPT = 8  # rendered, some 50 KB each: the newest, and older ones that several people read
GREATEST_ID = 2**63 - 1
DATABASE_AWAY = (SQLAlchemyError, DatabaseTimeout)
DATABASE_AWAY_MESSAGE = (
    "The database cannot be reached right now. Your text is kept; send it again if it does not "
    "appear soon."
)
DATABASE_FULL_MESSAGE = (
    "There is no room for new posts right now. Your text is kept; please send it again later."
)

blueprint = Blueprint("wall", __name__)


@dataclass(frozen=True)
class Wall:
    """What the routes need; one per application."""

    database: Database
    notifier: Notifier
    settings: WallSettings
    count_post: Callable[[], None]


class Snapshot(NamedTuple):
    """What one page shows of the table, and where its stream goes on."""

    posts: list[PostRow]
    token: str = ""  # empty: the stream starts with a reset, and the script loads the rows then
    older_than: int | None = None
    database_away: bool = False


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The newest posts and the form; with `?before=ID` the ones older than that."""
    wanted = request.args.get("before")
    if wanted is None:
        return _page(_newest())
    before = parse_id(wanted)
    if before is None:
        raise Refused(400, "Older posts are asked for with the number of a post.")
    return _page(_older(before), older=True)


@blueprint.get("/posts/<post_id>")
def show(post_id: str) -> ResponseReturnValue:
    """One post by itself; JSON for a program that prefers it."""
    number = parse_id(post_id)
    try:
        found = None if number is None else post.get(_wall().database, number)
    except DATABASE_AWAY as error:
        raise _database_away(error, "The database cannot be reached right now.") from None
    if found is None:
        raise Refused(404, "There is no such post, or not any more.")
    as_asked = (
        as_json(found)
        if wants_json() and found.readable
        else make_response(render_template("post.html", post=found))
    )
    as_asked.vary.add("Accept")
    return as_asked


@blueprint.post("/posts")
def publish() -> ResponseReturnValue:
    """Takes a post from the form or as JSON. What cannot be taken comes back with the text kept."""
    draft = Draft()
    try:
        draft = read_draft()
        row = _publish(draft)
    except Refused as refused:
        if wants_json():
            raise
        return _page(_newest(refused.status != 503), draft=draft, refused=refused)
    if not wants_json():
        return redirect(url_for(".index"), 303)
    location = url_for(".show", post_id=row.id)
    return make_response(as_json(row), 201, {"Location": location})


def parse_id(written: str) -> int | None:
    """A post's id, or None. ASCII digits only: int() takes much more, and fails on 4,301."""
    if not re.fullmatch(r"[0-9]{1,19}", written):
        return None
    number = int(written)
    return number if 0 < number <= GREATEST_ID else None


def as_json(row: PostRow) -> Response:
    """The row as its stream shows it."""
    columns = {
        "id": row.id,
        "author": row.author,
        "body": row.body,
        "created_at": row.created_at.astimezone(UTC),
    }
    return Response(Feed.to_json(columns), content_type="application/json")


def _wall() -> Wall:
    wall: Wall = current_app.extensions["wall"]
    return wall


def _newest(read: bool = True) -> Snapshot:  # noqa: FBT001, FBT002
    if not read:  # it failed just now; a second wait helps nobody
        return Snapshot([], database_away=True)
    feed = _wall().notifier.feed("posts")
    before = feed.cursor  # must stay above the query: see the top of this file
    try:
        rows = post.newest(_wall().database, PAGE_POSTS + 1)
    except DATABASE_AWAY as error:
        _log_database_failed(error)
        return Snapshot([], database_away=True)
    shown, older_than = _cut(rows)
    return Snapshot(shown, feed.page_token(before, [row.id for row in shown]), older_than)


def _older(before: int) -> Snapshot:
    try:
        rows = post.before(_wall().database, before, PAGE_POSTS + 1)
    except DATABASE_AWAY as error:
        raise _database_away(error, "The database cannot be reached right now.") from None
    shown, older_than = _cut(rows)
    return Snapshot(shown, older_than=older_than)


def _cut(rows: list[PostRow]) -> tuple[list[PostRow], int | None]:
    """One page of rows, and where the next one begins, if there is one."""
    shown = rows[:PAGE_POSTS]
    return shown, shown[-1].id if len(rows) > PAGE_POSTS else None


def _page(
    snapshot: Snapshot,
    *,
    draft: Draft | None = None,
    refused: Refused | None = None,
    older: bool = False,
) -> ResponseReturnValue:
    page = render_template(
        "wall.html",
        snapshot=snapshot,
        articles=_articles(tuple(snapshot.posts), request.script_root),
        draft=draft or Draft(),
        refused=refused,
        older=older,
        author_length=AUTHOR_LENGTH,
        body_length=BODY_LENGTH,
        heartbeat_s=_wall().settings.heartbeat_s,
        now=datetime.now(UTC),
    )
    headers = {"Cache-Control": "private, no-cache"}
    if refused is None:
        # A browser shows the page of a 503 as it is; the notice on it says what is wrong.
        return make_response(page, 200, headers)
    return make_response(page, refused.status, headers | refused.headers())


@lru_cache(maxsize=PAGES_KEPT)
def _articles(posts: tuple[PostRow, ...], script_root: str) -> str:  # noqa: ARG001 - in its links
    """The posts as the page shows them, to every visitor alike: half of what a page costs."""
    return render_template("_articles.html", posts=posts)


def _publish(draft: Draft) -> PostRow:
    wall = _wall()
    if not request.is_json:
        require_form_token()
    wall.count_post()
    author, body = checked(draft)
    try:
        row = post.add(wall.database, author, body)
    except DATABASE_AWAY as error:
        if Database.is_full(error):
            _log_database_failed(error)
            raise Refused(507, DATABASE_FULL_MESSAGE, retry_after_s=60) from None
        raise _database_away(error, DATABASE_AWAY_MESSAGE) from None
    wall.notifier.wake("posts")
    return row


def _database_away(error: BaseException, message: str) -> Refused:
    _log_database_failed(error)
    return Refused(503, message, retry_after_s=5)


def _log_database_failed(error: BaseException) -> None:
    log.warning("database failed error=%r", _what_failed(error))


def _what_failed(error: BaseException) -> str:
    """Never with what somebody wrote: not the statement and its values, and of what the database
    says about these (PostgreSQL's DETAIL shows the row) the code only."""
    cause = getattr(error, "orig", None) or error
    if isinstance(error, DataError | IntegrityError):
        code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
        return f"{type(cause).__name__} {code or next(iter(cause.args), '')}"
    return str(cause).partition("\n")[0][:200]
