"""Brings the wall's table about: makes it where it is missing, and changes one that an earlier
version of the wall has made.

Invariants:
- The unique index on `version` comes after all that numbers the posts, and the one on `draft` last.
  Where both are, there is nothing to do, so a user that may only read and write rows can run the
  wall. Where only the first is, posts have their numbers and keep them.
- One worker at a time does it, and each step looks first whether it was done: MariaDB commits each
  change of a table by itself, so what a crash left half done the next start completes. On SQLite
  and PostgreSQL it is one transaction.
- A table of that name which is not the wall's is left alone.

Posts from before get versions in the order of their ids, and no way by which they came.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from models import versions
from models.table import Base
from poller import Database, DatabaseTimeout, TableError

TABLE = Base.metadata.tables["posts"]
ADVISORY_LOCK = 0x526F77636173  # any number that nobody else takes
POSTGRESQL_LOCK_WAIT = "2s"  # others queue behind us meanwhile, readers too; then we try again
MYSQL_LOCK_WAIT_S = 3600  # the query timeout ends it before
NUMBERED = """
UPDATE posts SET version = numbered.version, via = NULL
FROM (SELECT id, row_number() OVER (ORDER BY id) AS version FROM posts) AS numbered
WHERE posts.id = numbered.id"""
MADE_AT_FIRST = {"id", "author", "body", "created_at"}
POSTGRESQL_REFUSED = "42501"  # insufficient_privilege
# Access denied to a database, table or column; a privilege that is missing; SUPER, where the
# binary log is on.
MYSQL_REFUSED = {1044, 1142, 1143, 1227, 1370, 1419}
SQLITE_READONLY = 8


def create_tables(database: Database) -> None:
    """Makes the table, or brings it up to date; of several workers that try at once, one does.

    Raises TableError, with what to do, where this user may not, where it takes longer than a query
    may, and where the table is not the wall's; SQLAlchemyError for whatever else the database says.
    """
    if database.read(_is_whole):
        return
    work = {"sqlite": _on_sqlite, "postgresql": _on_postgresql}.get(database.dialect, _on_mysql)
    try:
        database.write(work)
    except DatabaseTimeout:
        raise TableError(
            "the table posts is brought up to date, and that takes longer than a query may: start "
            f"the wall once with ROWCAST_QUERY_TIMEOUT above {database.query_timeout_s:g}"
        ) from None
    except DBAPIError as error:
        if not _is_refused(error):
            raise
        raise TableError(
            "the table posts is missing or of an earlier version of the wall, and this user may "
            "not change that: start the wall once as its owner, or with the DATABASE_URL of a "
            "user who may ALTER, CREATE and add triggers"
        ) from error


def _is_whole(connection: Connection) -> bool:
    return {versions.INDEX, versions.DRAFT_INDEX} <= _indexes(connection)


def _indexes(connection: Connection) -> set[str | None]:
    inspector = inspect(connection)
    if not inspector.has_table("posts"):
        return set()
    return {one["name"] for one in inspector.get_indexes("posts")}


def _columns(connection: Connection) -> set[str]:
    """Of the table as it is; empty where there is none. Raises TableError for another's table."""
    inspector = inspect(connection)
    if not inspector.has_table("posts"):
        return set()
    found = {str(column["name"]) for column in inspector.get_columns("posts")}
    known = set(TABLE.columns.keys())
    if not MADE_AT_FIRST <= found <= known:
        strange = sorted(found - known) or sorted(MADE_AT_FIRST - found)
        raise TableError(
            f"there is a table posts that is not the wall's (look at {', '.join(strange)}): give "
            "the wall a database of its own with DATABASE_URL"
        )
    return found


def _on_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if _is_whole(connection):
        return
    found = _columns(connection)
    if not found:
        # A new file gets a number of its own: its successor, if there is one, has another.
        connection.exec_driver_sql(f"PRAGMA application_id = {1 + secrets.randbelow(2**31 - 1)}")
    _make_or_add(connection, found)
    if versions.INDEX not in _indexes(connection):
        if found:
            _run(connection, [NUMBERED])
        _run(connection, [*versions.SQLITE, versions.UNIQUE])
    else:
        _run(connection, versions.SQLITE_UPDATED_AGAIN)
    _run(connection, [versions.DRAFT_UNIQUE])


def _on_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{POSTGRESQL_LOCK_WAIT}'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    if _is_whole(connection):
        return
    found = _columns(connection)
    _make_or_add(connection, found)
    if versions.INDEX not in _indexes(connection):
        if found:
            _run(connection, [NUMBERED])
        sequence = connection.exec_driver_sql(versions.POSTGRESQL_SEQUENCE).scalar_one()
        made = [one.format(sequence=sequence) for one in versions.POSTGRESQL]
        _run(connection, [*made, versions.UNIQUE])
    _run(connection, [versions.DRAFT_UNIQUE])


def _on_mysql(connection: Connection) -> None:
    with _mysql_lock(connection):
        if _is_whole(connection):
            return
        _make_or_add(connection, _columns(connection))
        if versions.INDEX not in _indexes(connection):
            _number_on_mysql(connection)
        _run(connection, [versions.DRAFT_UNIQUE])


def _number_on_mysql(connection: Connection) -> None:
    """Versions of what is there come from the trigger, for rows that have none yet."""
    has_sequences = _has_sequences(connection)
    counter = versions.MARIADB_COUNTER if has_sequences else versions.MYSQL_COUNTER
    next_version = versions.MARIADB_NEXT if has_sequences else versions.MYSQL_NEXT
    _run(connection, counter)
    query = (
        "SELECT trigger_name FROM information_schema.triggers "
        "WHERE event_object_schema = database() AND event_object_table = 'posts'"
    )
    there = set(connection.exec_driver_sql(query).scalars())
    missing = [one for name, one in versions.MYSQL_TRIGGERS.items() if name not in there]
    _run(connection, [one.format(next_version=next_version) for one in missing])
    numbered = "UPDATE posts SET version = 0, via = NULL WHERE version = 0 ORDER BY id"
    _run(connection, [numbered, versions.UNIQUE])


def _make_or_add(connection: Connection, found: set[str]) -> None:
    """The table, or the columns that it lacks."""
    if not found:
        Base.metadata.create_all(connection)
        return
    for column in TABLE.columns:
        if column.name not in found:
            text = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE posts ADD COLUMN {text}")


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _has_sequences(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


@contextmanager
def _mysql_lock(connection: Connection) -> Iterator[None]:
    """Ours until the block ends, or the connection. The server has one set of names for all."""
    name = "left(concat('posts.', database()), 64)"
    connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {MYSQL_LOCK_WAIT_S})")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({name})")


def _is_refused(error: DBAPIError) -> bool:
    """Whether this user may not, however often it tries."""
    cause: Any = error.orig
    if getattr(cause, "sqlstate", None) == POSTGRESQL_REFUSED:
        return True
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        return bool(code & 0xFF == SQLITE_READONLY)
    return bool(cause.args and cause.args[0] in MYSQL_REFUSED)
