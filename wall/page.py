"""The wall's page: which posts it shows, and where its stream goes on.

A page and its stream meet without a gap: the cursor is taken before the rows are read, and the
page carries it together with the versions that it shows. What was committed in between is then sent
once more at most, and never missed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from models import PostRow, post
from models.post import AUTHOR_LENGTH, BODY_LENGTH
from wall import rights
from wall.current import DATABASE_AWAY, database_away, log_failed, this_wall
from wall.draft import Draft
from wall.errors import Refused
from wall.table import NO_TABLE

PAGE_POSTS = 50
PAGES_KEPT = 8  # rendered, some 50 KB each: the newest, and older ones that several people read
PRIVATE = {"Cache-Control": "private, no-cache"}


class Snapshot(NamedTuple):
    """What one page shows of the table, and where its stream goes on."""

    posts: list[PostRow]
    token: str = ""  # empty: the stream starts with a reset, and the script loads the rows then
    older_than: int | None = None
    database_away: bool = False


def newest(read: bool = True, posts: int = PAGE_POSTS) -> Snapshot:  # noqa: FBT001, FBT002
    """The newest posts; none, and that the database is away, where it fails or is not `read`."""
    if not read:  # it failed just now; a second wait helps nobody
        return Snapshot([], database_away=True)
    feed = this_wall().notifier.feed("posts")
    before = feed.cursor  # must stay above the query: see the top of this file
    try:
        rows = post.newest(this_wall().database, posts + 1)
    except DATABASE_AWAY as error:
        log_failed(error)
        return Snapshot([], database_away=True)
    shown, older_than = _cut(rows, posts)
    token = feed.token_of(before, shown) if before is not None else ""
    return Snapshot(shown, token, older_than)


def older(before: int) -> Snapshot:
    """Those older than the post `before`. Raises Refused(503)."""
    try:
        rows = post.before(this_wall().database, before, PAGE_POSTS + 1)
    except DATABASE_AWAY as error:
        raise database_away(error) from None
    shown, older_than = _cut(rows)
    return Snapshot(shown, older_than=older_than)


def _cut(rows: list[PostRow], most: int = PAGE_POSTS) -> tuple[list[PostRow], int | None]:
    """One page of rows, and where the next one begins, if there is one."""
    shown = rows[:most]
    return shown, shown[-1].id if len(rows) > most else None


def render(
    snapshot: Snapshot,
    *,
    draft: Draft | None = None,
    refused: Refused | None = None,
    older: bool = False,
) -> ResponseReturnValue:
    """The page; with what somebody sent and why it was refused, if it was."""
    page = render_template(
        "wall.html",
        snapshot=snapshot,
        articles=_articles_for_visitor(tuple(snapshot.posts)),
        moderator=this_wall().moderation.signed_in(),
        draft=draft or Draft(),
        refused=refused,
        older=older,
        author_length=AUTHOR_LENGTH,
        body_length=BODY_LENGTH,
        new_key=secrets.token_urlsafe(16),
        changeable_s=rights.CHANGEABLE_S,
        heartbeat_s=this_wall().settings.heartbeat_s,
        no_table=NO_TABLE if this_wall().table.is_unusable else None,
        now=datetime.now(UTC),
    )
    if refused is None:
        # A browser shows the page of a 503 as it is; the notice on it says what is wrong.
        return make_response(page, 200, PRIVATE)
    return make_response(page, refused.status, PRIVATE | refused.headers())


def _articles_for_visitor(posts: tuple[PostRow, ...]) -> str:
    """With what this visitor may do to them; nearly everybody may do nothing."""
    own = rights.changeable()
    own = {row.id: own[row.id] for row in posts if row.id in own and rights.may_change(row)}
    moderator = this_wall().moderation.signed_in()
    if own or moderator:
        return articles(posts, own, moderator=moderator)
    return _articles_for_all(posts, request.script_root)


@lru_cache(maxsize=PAGES_KEPT)
def _articles_for_all(posts: tuple[PostRow, ...], script_root: str) -> str:  # noqa: ARG001 - in its links
    """The same for every visitor: half of what a page costs."""
    return articles(posts, {}, moderator=False)


def articles(posts: tuple[PostRow, ...], own: Mapping[int, int], *, moderator: bool) -> str:
    """The posts as the page shows them. `own` may be changed, until so many seconds."""
    return render_template("_articles.html", posts=posts, own=own, moderator=moderator)
