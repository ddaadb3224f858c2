"""Reading and posting: the page, one post, and a new one."""

from __future__ import annotations

from datetime import UTC

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from models import PostRow, post
from poller import Database, Feed
from wall import page, rights
from wall.current import (
    DATABASE_AWAY,
    Wall,
    database_away,
    existing,
    log_failed,
    parse_id,
    this_wall,
)
from wall.draft import Draft, checked, named, read_draft
from wall.errors import Refused, wants_json
from wall.security import from_browser, require_form_token

__all__ = ["Wall", "as_json", "blueprint"]

MAYBE_KEPT_MESSAGE = (
    "The database cannot be reached right now. Your text is kept; send it again if it does not "
    "appear soon."
)
FULL_MESSAGE = (
    "There is no room for new posts right now. Your text is kept; please send it again later."
)

blueprint = Blueprint("wall", __name__)


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """The newest posts and the form; with `?before=ID` the ones older than that."""
    wanted = request.args.get("before")
    if wanted is None:
        return page.render(page.newest())
    before = parse_id(wanted)
    if before is None:
        raise Refused(400, "Older posts are asked for with the number of a post.")
    return page.render(page.older(before), older=True)


@blueprint.get("/posts/<post_id>")
def show(post_id: str) -> ResponseReturnValue:
    """One post by itself; JSON for a program that prefers it."""
    found = existing(post_id)
    if wants_json() and found.readable:
        answer = as_json(found)
        answer.headers["Cache-Control"] = "no-cache"  # it may be edited or removed
    else:
        until = rights.changeable().get(found.id) if rights.may_change(found) else None
        moderator = this_wall().moderation.signed_in()
        text = render_template("post.html", post=found, until=until, moderator=moderator)
        answer = make_response(text, 200, page.PRIVATE)
    answer.vary.add("Accept")
    return answer


@blueprint.post("/posts")
def publish() -> ResponseReturnValue:
    """Takes a post from the form or as JSON. What cannot be taken comes back with the text kept."""
    draft = Draft()
    try:
        draft = read_draft()
        row, before = _publish(draft)
    except Refused as refused:
        if wants_json():
            raise
        return page.render(page.newest(refused.status != 503), draft=draft, refused=refused)
    rights.remember(row, before=before)
    if not wants_json():
        return redirect(url_for(".index"), 303)
    location = url_for(".show", post_id=row.id)
    return make_response(as_json(row), 200 if before else 201, {"Location": location})


def as_json(row: PostRow) -> Response:
    """The row as its stream shows it."""
    columns = row._asdict()
    del columns["readable"]
    for name in ("created_at", "edited_at"):
        columns[name] = columns[name] and columns[name].astimezone(UTC)
    return Response(Feed.to_json(columns), content_type="application/json")


def _publish(draft: Draft) -> tuple[PostRow, bool]:
    """The post, and whether it was there before. Raises Refused."""
    wall = this_wall()
    if not request.is_json:
        require_form_token()
    wall.posts.count()
    author, body = checked(draft)
    via = "form" if from_browser() else "api"
    name = named(draft.key, author, body)
    try:
        taken = (
            post.add_once(wall.telling, author, body, via, name)
            if name
            else post.Taken(post.add(wall.telling, author, body, via))
        )
    except DATABASE_AWAY as error:
        if Database.is_full(error):
            log_failed(error)
            raise Refused(507, FULL_MESSAGE, retry_after_s=60) from None
        raise database_away(error, MAYBE_KEPT_MESSAGE) from None
    if taken.row is None:
        raise Refused(409, "You have posted this before, and it was removed since.")
    if not taken.before:
        wall.notifier.wake("posts")
    return taken.row, taken.before
