"""Changing a post: its author edits or deletes it, a moderator hides it or shows it again.

Each way has a page with a form, so that it works without a script, and a sibling in JSON. What is
removed is no longer read by any query of the wall; open pages are told by their stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from models import PostRow, post
from models.post import BODY_LENGTH
from poller import Database
from wall import page, rights
from wall.current import DATABASE_AWAY, Wall, database_away, existing, gone, parse_id, this_wall
from wall.draft import checked_body, read_change, read_whole
from wall.errors import Refused
from wall.posts import FULL_MESSAGE, as_json
from wall.security import require_form_token

T = TypeVar("T")
NOT_YOURS = (
    "A post can be changed for 15 minutes, in the browser that wrote it. This one cannot, or not "
    "any more."
)
HIDDEN_SHOWN = 100  # on the moderator's page

blueprint = Blueprint("changes", __name__)


# -- as JSON ------------------------------------------------------------------------------------


@blueprint.patch("/posts/<post_id>")
def change(post_id: str) -> ResponseReturnValue:
    """`{"body": …}` from its author, `{"hidden": …}` from a moderator."""
    wanted = read_change()
    if wanted.body is not msgspec.UNSET:
        return as_json(_edit(_own(post_id), wanted.body))
    if wanted.hidden:
        _hide(post_id)
        return "", 204
    return as_json(_show_again(post_id))


@blueprint.delete("/posts/<post_id>")
def remove(post_id: str) -> ResponseReturnValue:
    """From its author."""
    _delete(_own(post_id))
    return "", 204


# -- pages --------------------------------------------------------------------------------------


@blueprint.route("/posts/<post_id>/edit", methods=["GET", "POST"])
def edit(post_id: str) -> ResponseReturnValue:
    """The author's form; what cannot be taken comes back with the text kept."""
    if request.method == "GET":
        own = _allowed(existing(post_id))
        return _edit_page(own, own.body)
    _require_form()
    own = _own(post_id)
    written = request.form.get("body", "")
    try:
        _edit(own, written)
    except Refused as refused:
        if refused.status == 404:
            raise
        return _edit_page(own, written, refused)
    return redirect(url_for("wall.index", _anchor=f"post-{own.id}"), 303)


@blueprint.route("/posts/<post_id>/delete", methods=["GET", "POST"])
def delete(post_id: str) -> ResponseReturnValue:
    """Asks, then does it."""
    if request.method == "GET":
        return _confirm_page(_allowed(existing(post_id)), "delete")
    _require_form()
    _delete(_own(post_id))
    return redirect(url_for("wall.index"), 303)


@blueprint.route("/posts/<post_id>/hide", methods=["GET", "POST"])
def hide(post_id: str) -> ResponseReturnValue:
    """Asks, then does it."""
    if request.method == "GET":
        this_wall().moderation.require()
        return _confirm_page(existing(post_id), "hide")
    _require_form()
    _hide(post_id)
    return redirect(url_for("wall.index"), 303)


@blueprint.post("/posts/<post_id>/show")
def show_again(post_id: str) -> ResponseReturnValue:
    """What was hidden, from the moderator's page."""
    _require_form()
    _show_again(post_id)
    return redirect(url_for(".moderator"), 303)


@blueprint.route("/moderator", methods=["GET", "POST"])
def moderator() -> ResponseReturnValue:
    """Signs in; then the posts that are hidden."""
    wall = this_wall()
    if not wall.moderation.wanted:
        wall.moderation.require()  # says so
    refused = None
    if request.method == "POST":
        _require_form()
        try:
            wall.moderation.sign_in(request.form.get("token", ""))
        except Refused as one:
            refused = one
        else:
            return redirect(url_for(".moderator"), 303)
    signed_in = refused is None and wall.moderation.signed_in()
    hidden = _database(lambda wall: post.hidden(wall.database, HIDDEN_SHOWN)) if signed_in else []
    text = render_template("moderator.html", signed_in=signed_in, hidden=hidden, refused=refused)
    status, headers = (refused.status, refused.headers()) if refused else (200, {})
    return make_response(text, status, page.PRIVATE | headers)


@blueprint.post("/moderator/leave")
def leave() -> ResponseReturnValue:
    """Signs out."""
    _require_form()
    this_wall().moderation.sign_out()
    return redirect(url_for("wall.index"), 303)


def _edit_page(row: PostRow, written: str, refused: Refused | None = None) -> ResponseReturnValue:
    text = render_template(
        "edit.html", post=row, written=written, refused=refused, body_length=BODY_LENGTH
    )
    status, headers = (refused.status, refused.headers()) if refused else (200, {})
    return make_response(text, status, page.PRIVATE | headers)


def _confirm_page(row: PostRow, what: str) -> ResponseReturnValue:
    return make_response(render_template("confirm.html", post=row, what=what), 200, page.PRIVATE)


# -- what both do -------------------------------------------------------------------------------


def _require_form() -> None:
    read_whole()
    require_form_token()


def _own(post_id: str) -> PostRow:
    """The post, if its author asks. Each such request counts as a post does. Raises Refused(403,
    404, 429 or 503)."""
    this_wall().posts.count()
    return _allowed(existing(post_id))


def _allowed(row: PostRow) -> PostRow:
    if not rights.may_change(row):
        raise Refused(403, NOT_YOURS)
    return row


def _edit(row: PostRow, written: str) -> PostRow:
    body = checked_body(written)
    return _there(_changed(lambda wall: post.edit(wall.telling, row.id, body)))


def _delete(row: PostRow) -> None:
    _there(_changed(lambda wall: post.delete(wall.telling, row.id)))


def _hide(post_id: str) -> None:
    number = _moderated(post_id)
    _there(_changed(lambda wall: post.hide(wall.telling, number)))


def _show_again(post_id: str) -> PostRow:
    number = _moderated(post_id)
    return _there(_changed(lambda wall: post.show_again(wall.telling, number)))


def _moderated(post_id: str) -> int:
    this_wall().moderation.require()
    number = parse_id(post_id)
    if number is None:
        raise gone()
    return number


def _there(changed: T | None) -> T:
    """Raises Refused(404) where nothing was changed: None or False."""
    if not changed:
        raise gone()
    return changed


def _changed(work: Callable[[Wall], T]) -> T:
    done = _database(work)
    this_wall().notifier.wake("posts")
    return done


def _database(work: Callable[[Wall], T]) -> T:
    try:
        return work(this_wall())
    except DATABASE_AWAY as error:
        if Database.is_full(error):
            raise Refused(507, FULL_MESSAGE, retry_after_s=60) from None
        raise database_away(error) from None
