"""The queries of the wall on its posts. They return plain rows, never mapped objects that still
hang on a connection, and none shows a post that was removed, but for `hidden()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from models.table import AUTHOR_LENGTH, BODY_LENGTH, DRAFT_LENGTH, WAY_LENGTH, Post
from models.types import utc_now
from models.upgrade import create_tables
from poller import Database

__all__ = [
    "AUTHOR_LENGTH",
    "BODY_LENGTH",
    "DRAFT_LENGTH",
    "WAY_LENGTH",
    "Post",
    "PostRow",
    "create_tables",
]

BY_AUTHOR, BY_MODERATOR = "author", "moderator"
BLANK = "(deleted)"  # in place of name and text: the table takes no empty ones
# A tool that sets `deleted_at` alone hides a post, too.
HIDDEN = (Post.deleted_at.is_not(None), Post.deleted_by.is_distinct_from(BY_AUTHOR))
SHOWN = (
    Post.id,
    Post.author,
    Post.body,
    Post.created_at,
    Post.via,
    Post.edited_at,
    Post.version,
)


T = TypeVar("T")


class Writes(Protocol):
    """A `Database`, or what adds something to its transactions."""

    def read(self, work: Callable[[Connection], T]) -> T: ...
    def write(self, work: Callable[[Connection], T]) -> T: ...


class PostRow(NamedTuple):
    """What a page shows. `readable` is false for a row that the driver could not decode."""

    id: int
    author: str
    body: str
    created_at: datetime
    via: str | None = None
    edited_at: datetime | None = None
    version: int = 0
    readable: bool = True


class Taken(NamedTuple):
    """What became of a draft. `row` is None where it was posted `before` and removed since."""

    row: PostRow | None
    before: bool = False


def newest(database: Database, limit: int) -> list[PostRow]:
    """The newest posts, newest first."""
    return database.read(lambda connection: _page(connection, _newest_first(limit)))


def before(database: Database, post_id: int, limit: int) -> list[PostRow]:
    """The newest posts older than `post_id`, newest first."""
    older = _newest_first(limit).where(Post.id < post_id)
    return database.read(lambda connection: _page(connection, older))


def hidden(database: Database, limit: int) -> list[PostRow]:
    """What was hidden, by a moderator or by any other tool, newest first."""
    query = _rows().where(*HIDDEN)
    return database.read(lambda connection: _page(connection, query.limit(limit)))


def get(database: Database, post_id: int) -> PostRow | None:
    """One post, or None."""
    one = _newest_first(1).where(Post.id == post_id)
    found = database.read(lambda connection: _page(connection, one))
    return found[0] if found else None


def add(database: Writes, author: str, body: str, via: str = "form") -> PostRow:
    """Inserts a post; returns it with the id, the time and the version that the database gave."""
    return database.write(lambda connection: _insert(connection, author, body, via, None))


def add_once(database: Writes, author: str, body: str, via: str, draft: str) -> Taken:
    """As `add()`, unless there is a post of this draft: then it is that one."""

    def work(connection: Connection) -> Taken:
        return _taken(connection, draft) or Taken(_insert(connection, author, body, via, draft))

    try:
        return database.write(work)
    except IntegrityError:
        # Another worker inserted it after we had looked; or else it is an error.
        before = database.read(lambda connection: _taken(connection, draft))
        if before is None:
            raise
        return before


def _insert(connection: Connection, author: str, body: str, via: str, draft: str | None) -> PostRow:
    values = {"author": author, "body": body, "via": via} | ({"draft": draft} if draft else {})
    result = connection.execute(insert(Post).values(**values))
    (post_id,) = result.inserted_primary_key or (None,)
    return _plain(connection.execute(_rows().where(Post.id == post_id)).one())


def _taken(connection: Connection, draft: str) -> Taken | None:
    if connection.scalar(select(Post.id).where(Post.draft == draft)) is None:
        return None
    there = _page(connection, _newest_first(1).where(Post.draft == draft))
    return Taken(there[0] if there else None, before=True)


def edit(database: Writes, post_id: int, body: str) -> PostRow | None:
    """Changes the text; the post as it is then, or None where there is none (any more)."""
    return _change(database, post_id, Post.deleted_at.is_(None), body=body)


def delete(database: Writes, post_id: int) -> bool:
    """As its author: for good, with its text. Whether there was such a post."""
    blank = {"author": BLANK, "body": BLANK, "deleted_at": utc_now(), "deleted_by": BY_AUTHOR}
    return _change(database, post_id, Post.deleted_at.is_(None), **blank) is not None


def hide(database: Writes, post_id: int) -> bool:
    """As a moderator: until it is shown again. Whether there was such a post."""
    mark = {"deleted_at": utc_now(), "deleted_by": BY_MODERATOR}
    return _change(database, post_id, Post.deleted_at.is_(None), **mark) is not None


def show_again(database: Writes, post_id: int) -> PostRow | None:
    """What was hidden, not what its author deleted. The post, or None."""
    return _change(database, post_id, and_(*HIDDEN), deleted_at=None, deleted_by=None)


def _change(
    database: Writes, post_id: int, only_if: ColumnElement[bool], **values: Any
) -> PostRow | None:
    def work(connection: Connection) -> PostRow | None:
        changed = connection.execute(
            update(Post).where(Post.id == post_id, only_if).values(**values)
        )
        if not changed.rowcount:
            return None
        return _plain(connection.execute(_rows().where(Post.id == post_id)).one())

    return database.write(work)


def _rows() -> Select[*tuple[Any, ...]]:
    columns: Select[*tuple[Any, ...]] = select(*SHOWN)
    return columns.order_by(Post.id.desc())


def _newest_first(limit: int) -> Select[*tuple[Any, ...]]:
    return _rows().where(Post.deleted_at.is_(None)).limit(limit)


def _page(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[PostRow]:
    """Runs `query`. One row that cannot be decoded fails the whole fetch: then row by row."""
    try:
        return [_plain(row) for row in connection.execute(query).all()]
    except (SQLAlchemyError, ValueError, TypeError):
        # A database that is away fails here again, and that error is the caller's.
        ids: Sequence[int] = connection.scalars(query.with_only_columns(Post.id)).all()
        return [_one(connection, post_id) for post_id in ids]


def _one(connection: Connection, post_id: int) -> PostRow:
    try:
        return _plain(connection.execute(_rows().where(Post.id == post_id)).one())
    except (SQLAlchemyError, ValueError, TypeError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise  # it is the database that went, not the row
        nothing = datetime.fromtimestamp(0, UTC)
        version = connection.scalars(select(Post.version).where(Post.id == post_id)).one()
        return PostRow(post_id, "", "", nothing, version=version, readable=False)


def _plain(row: Row[Any]) -> PostRow:
    # SQLite keeps whatever it is given, also bytes in a text column.
    if not (isinstance(row.author, str) and isinstance(row.body, str) and row.created_at):
        raise TypeError("not a post")
    return PostRow(*tuple(row))
