"""`Post`: one message on the wall, its table and its few queries.

The table is made for writers that know nothing of this program: `INSERT INTO posts (author, body)`
is a whole post, from any tool, because id and time come from the database and the lengths are
checked there. Queries return plain rows, never mapped objects that still hang on a connection.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Connection,
    Identity,
    Integer,
    Row,
    Select,
    String,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from models.types import UTCDateTime, utc_now
from poller import Database

AUTHOR_LENGTH = 80  # characters: a name, not a text
BODY_LENGTH = 2000  # characters: what one reads in a minute


class Base(DeclarativeBase):
    """Holds the wall's tables."""


def _length(column: str, longest: int) -> list[CheckConstraint]:
    """1..longest characters. SQLite ignores VARCHAR(n); MariaDB's length() counts bytes."""
    name = f"posts_{column}_length"
    functions = {
        "sqlite": "length",
        "postgresql": "char_length",
        "mysql": "char_length",
        "mariadb": "char_length",
    }
    checks = {
        dialect: CheckConstraint(f"{function}({column}) BETWEEN 1 AND {longest}", name=name)
        for dialect, function in functions.items()
    }
    return [check.ddl_if(dialect=dialect) for dialect, check in checks.items()]


class Post(Base):
    """AUTOINCREMENT on SQLite, so that the id of a deleted post is never given again."""

    __tablename__ = "posts"
    __table_args__ = (
        *_length("author", AUTHOR_LENGTH),
        *_length("body", BODY_LENGTH),
        {
            "sqlite_autoincrement": True,
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mariadb_engine": "InnoDB",
            "mariadb_charset": "utf8mb4",
        },
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True
    )
    author: Mapped[str] = mapped_column(String(AUTHOR_LENGTH))
    body: Mapped[str] = mapped_column(String(BODY_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=utc_now())


class PostRow(NamedTuple):
    """What a page shows. `readable` is false for a row that the driver could not decode."""

    id: int
    author: str
    body: str
    created_at: datetime
    readable: bool = True


def create_tables(database: Database) -> None:
    """Makes the table where it is missing; of several workers that try at once, one does.

    Raises SQLAlchemyError when the table is not there afterwards.
    """
    try:
        database.write(_create)
    except SQLAlchemyError:
        if not database.read(lambda connection: inspect(connection).has_table("posts")):
            raise


def _create(connection: Connection) -> None:
    """A new SQLite file gets a number of its own: its successor, if there is one, has another."""
    if connection.dialect.name == "sqlite" and not inspect(connection).has_table("posts"):
        connection.exec_driver_sql(f"PRAGMA application_id = {1 + secrets.randbelow(2**31 - 1)}")
    Base.metadata.create_all(connection)


def newest(database: Database, limit: int) -> list[PostRow]:
    """The newest posts, newest first."""
    return database.read(lambda connection: _page(connection, _newest_first(limit)))


def before(database: Database, post_id: int, limit: int) -> list[PostRow]:
    """The newest posts older than `post_id`, newest first."""
    older = _newest_first(limit).where(Post.id < post_id)
    return database.read(lambda connection: _page(connection, older))


def get(database: Database, post_id: int) -> PostRow | None:
    """One post, or None."""
    one = _newest_first(1).where(Post.id == post_id)
    found = database.read(lambda connection: _page(connection, one))
    return found[0] if found else None


def add(database: Database, author: str, body: str) -> PostRow:
    """Inserts a post; returns it with the id and the time that the database gave it."""

    def work(connection: Connection) -> PostRow:
        result = connection.execute(insert(Post).values(author=author, body=body))
        (post_id,) = result.inserted_primary_key or (None,)
        return _plain(connection.execute(_newest_first(1).where(Post.id == post_id)).one())

    return database.write(work)


def _newest_first(limit: int) -> Select[int, str, str, datetime]:
    columns = select(Post.id, Post.author, Post.body, Post.created_at)
    return columns.order_by(Post.id.desc()).limit(limit)


def _page(connection: Connection, query: Select[int, str, str, datetime]) -> list[PostRow]:
    """Runs `query`. One row that cannot be decoded fails the whole fetch: then row by row."""
    try:
        return [_plain(row) for row in connection.execute(query).all()]
    except (SQLAlchemyError, ValueError, TypeError):
        # A database that is away fails here again, and that error is the caller's.
        ids: Sequence[int] = connection.scalars(query.with_only_columns(Post.id)).all()
        return [_one(connection, post_id) for post_id in ids]


def _one(connection: Connection, post_id: int) -> PostRow:
    try:
        return _plain(connection.execute(_newest_first(1).where(Post.id == post_id)).one())
    except (SQLAlchemyError, ValueError, TypeError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise  # it is the database that went, not the row
        return PostRow(post_id, "", "", datetime.fromtimestamp(0, UTC), readable=False)


def _plain(row: Row[int, str, str, datetime]) -> PostRow:
    # SQLite keeps whatever it is given, also bytes in a text column.
    if not (isinstance(row.author, str) and isinstance(row.body, str) and row.created_at):
        raise TypeError("not a post")
    return PostRow(row.id, row.author, row.body, row.created_at)
