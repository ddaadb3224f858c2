"""Plain SQL from the side: what another program does to the same database, in another way.

Uses the drivers directly (no pool, one short connection a call), never the code under test.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import psycopg
import pymysql

LOCK_WAIT_S = 30.0


def dialect_of(url: str) -> str:
    """`sqlite`, `postgresql` or `mariadb`."""
    scheme = urlsplit(url).scheme.split("+")[0]
    return "mariadb" if scheme in ("mysql", "mariadb") else scheme


def sqlite_path(url: str) -> str:
    return url.removeprefix("sqlite:///")


@contextmanager
def connect(url: str) -> Iterator[Any]:
    """A DB-API connection; commits at the end, rolls back on an error, always closes."""
    connection = _open(url)
    with closing(connection):
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


def execute(url: str, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """One statement in its own transaction; placeholders are `%s` for every database."""
    if dialect_of(url) == "sqlite":
        sql = sql.replace("%s", "?")
    with connect(url) as connection, closing(connection.cursor()) as cursor:
        if parameters:
            cursor.execute(sql, tuple(parameters))
        else:
            cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def insert_posts(url: str, bodies: Sequence[str], author: str = "outside") -> None:
    """Commits one row for each body, in this order, in one transaction."""
    mark = "?" if dialect_of(url) == "sqlite" else "%s"
    with connect(url) as connection, closing(connection.cursor()) as cursor:
        cursor.executemany(
            f"INSERT INTO posts (author, body) VALUES ({mark}, {mark})",
            [(author, body) for body in bodies],
        )


def post_ids(url: str) -> list[int]:
    return [int(row[0]) for row in execute(url, "SELECT id FROM posts ORDER BY id")]


class Transaction:
    """An open transaction on a connection of its own, as another program may hold one.

    `with Transaction(url) as holder` rolls back what was not ended. A `name` makes it one that can
    be prepared, and then outlives its connection until `end_prepared()`.
    """

    def __init__(self, url: str, name: str = "") -> None:
        self.dialect = dialect_of(url)
        self.name = name
        self._connection = _open(url)
        if name and self.dialect == "mariadb":
            self.execute(f"XA START '{name}'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._connection.close()

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def insert_post(self, body: str, author: str = "outside") -> int:
        """Inserts a row that nobody else sees yet; its id."""
        values = f"INSERT INTO posts (author, body) VALUES ('{author}', '{body}')"
        return int(self.execute(f"{values} RETURNING id")[0][0])

    def commit(self) -> None:
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def prepare(self) -> None:
        """The first half of a two-phase commit; nobody has to be connected for the second."""
        if self.dialect == "mariadb":
            self.execute(f"XA END '{self.name}'")
            self.execute(f"XA PREPARE '{self.name}'")
        else:
            self.execute(f"PREPARE TRANSACTION '{self.name}'")


def end_prepared(url: str, name: str, how: Literal["COMMIT", "ROLLBACK"]) -> None:
    """The second half of a two-phase commit."""
    xa = dialect_of(url) == "mariadb"
    with closing(_open(url)) as connection, closing(connection.cursor()) as cursor:
        # Neither may stand inside another transaction.
        if xa:
            connection.autocommit(True)
        else:
            connection.autocommit = True
        cursor.execute(f"XA {how} '{name}'" if xa else f"{how} PREPARED '{name}'")


def _open(url: str) -> Any:
    parts = urlsplit(url)
    match dialect_of(url):
        case "sqlite":
            return sqlite3.connect(sqlite_path(url), timeout=LOCK_WAIT_S)
        case "postgresql":
            return psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
        case _:
            return pymysql.connect(
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 3306,
                user=parts.username or "",
                password=parts.password or "",
                database=parts.path.lstrip("/") or None,
                charset="utf8mb4",
            )
