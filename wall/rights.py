"""Who may change a post: whoever wrote it, from the browser that did, for 15 minutes.

The session cookie, which is signed, lists the posts that its browser wrote lately, each with the
time at which it was posted: a copy of the cookie is worth no more after the 15 minutes than the
cookie itself. The time that the database gave the row goes with it, so that the list of one
database says nothing of posts in another, or in a table that was made again.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec
from flask import session

from models import PostRow

CHANGEABLE_S = 15 * 60
MOST_KEPT = 20  # posts in a cookie, some 60 bytes each: the newest
KEY = "posts"

clock = time.time


class Own(NamedTuple):
    """A post of this browser. `posted_at` is in seconds."""

    id: int
    posted_at: int
    created_at: str


def remember(row: PostRow, *, before: bool = False) -> None:
    """This browser wrote it: just now, or as long before as the database says."""
    posted_at = min(clock(), row.created_at.timestamp()) if before else clock()
    others = [one for one in _own() if one.id != row.id]
    kept = [*others, Own(row.id, int(posted_at), row.created_at.isoformat())]
    session[KEY] = kept[-MOST_KEPT:]


def changeable() -> dict[int, int]:
    """The ids of the posts that this browser may still change, and until when (in seconds)."""
    return {one.id: one.posted_at + CHANGEABLE_S for one in _own()}


def may_change(row: PostRow) -> bool:
    """Whether this browser wrote it, and not too long ago."""
    created_at = row.created_at.isoformat()
    return any(one.id == row.id and one.created_at == created_at for one in _own())


def _own() -> list[Own]:
    try:
        kept = msgspec.convert(session.get(KEY, []), list[Own])
    except msgspec.ValidationError:  # of another version of the wall
        return []
    return [one for one in kept if 0 <= clock() - one.posted_at < CHANGEABLE_S]
