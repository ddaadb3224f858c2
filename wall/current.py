"""What the wall's routes share: its parts, and what to say when the database fails."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from flask import current_app
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from models import PostRow, post
from poller import Database, DatabaseTimeout, Notifier
from wall.errors import Refused
from wall.moderation import Moderation
from wall.rate import Limit
from wall.settings import WallSettings
from wall.table import NO_TABLE, Table
from wall.telling import Telling

log = logging.getLogger("rowcast.wall")

GREATEST_ID = 2**63 - 1
DATABASE_AWAY = (SQLAlchemyError, DatabaseTimeout)
AWAY_MESSAGE = "The database cannot be reached right now."


@dataclass(frozen=True)
class Wall:
    """What the routes need; one per application."""

    database: Database
    table: Table
    notifier: Notifier
    settings: WallSettings
    posts: Limit
    moderation: Moderation

    @property
    def telling(self) -> Telling:
        """The database, for writes."""
        return Telling(self.database, self.notifier)


def this_wall() -> Wall:
    """The one that the current request is for."""
    wall: Wall = current_app.extensions["wall"]
    return wall


def parse_id(written: str) -> int | None:
    """A post's id, or None. ASCII digits only: int() takes much more, and fails on 4,301."""
    if not re.fullmatch(r"[0-9]{1,19}", written):
        return None
    number = int(written)
    return number if 0 < number <= GREATEST_ID else None


def existing(post_id: str) -> PostRow:
    """The post of this address. Raises Refused(404) where there is none, or not any more; 503."""
    number = parse_id(post_id)
    try:
        found = None if number is None else post.get(this_wall().database, number)
    except DATABASE_AWAY as error:
        raise database_away(error) from None
    if found is None:
        raise gone()
    return found


def gone() -> Refused:
    """What to raise for a post that is not there."""
    return Refused(404, "There is no such post, or not any more.")


def database_away(error: BaseException, message: str = AWAY_MESSAGE) -> Refused:
    """What to raise for one of DATABASE_AWAY."""
    log_failed(error)
    if this_wall().table.is_unusable:
        message = NO_TABLE
    return Refused(503, message, retry_after_s=5)


def log_failed(error: BaseException) -> None:
    """One line, without what somebody wrote."""
    log.warning("database failed error=%r", _what_failed(error))


def _what_failed(error: BaseException) -> str:
    """Never with what somebody wrote: not the statement and its values, and of what the database
    says about these (PostgreSQL's DETAIL shows the row) the code only."""
    cause = getattr(error, "orig", None) or error
    if isinstance(error, DataError | IntegrityError):
        code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
        return f"{type(cause).__name__} {code or next(iter(cause.args), '')}"
    return str(cause).partition("\n")[0][:200]
