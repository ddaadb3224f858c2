"""`Post`: the table of the wall.

It is made for writers that know nothing of this program: `INSERT INTO posts (author, body)` is a
whole post, and `UPDATE posts SET body = …` a whole edit, from any tool. Id and time come from the
database, which checks the lengths and gives each change a version (see `versions.py`).

A removed post keeps its row, so that open pages are told: `deleted_at` is set, and no query of the
wall shows it. Whoever deletes a post of their own blanks its text; a moderator hides it, text and
all, so that it can be shown again.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Identity, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from models.types import UTCDateTime, utc_now

AUTHOR_LENGTH = 80  # characters: a name, not a text
BODY_LENGTH = 2000  # characters: what one reads in a minute
WAY_LENGTH = 16  # characters: a badge
DRAFT_LENGTH = 64  # characters: a SHA-256 in hex


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


def _big() -> BigInteger:
    return BigInteger().with_variant(Integer, "sqlite")


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

    id: Mapped[int] = mapped_column(_big(), Identity(), primary_key=True)
    author: Mapped[str] = mapped_column(String(AUTHOR_LENGTH))
    body: Mapped[str] = mapped_column(String(BODY_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=utc_now())
    # By which way it came: `form`, `api`, `sql`, or what its writer says. NULL: nobody knows, since
    # it is older than this column.
    via: Mapped[str | None] = mapped_column(String(WAY_LENGTH), server_default="sql")
    edited_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    deleted_by: Mapped[str | None] = mapped_column(String(WAY_LENGTH))  # `author` or `moderator`
    # Names the text that somebody sent, so that it stands once however often it is sent
    # (wall/draft.py). Unique; NULL where nobody gave it a key, as no other tool does.
    draft: Mapped[str | None] = mapped_column(String(DRAFT_LENGTH))
    # A trigger sets it. The default is for databases that ask for a value before they call it.
    version: Mapped[int] = mapped_column(_big(), server_default="0")
