"""The watched table from the side: its rows, its end and its beginning anew, a table beside it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import psycopg
import pymysql

from tests.campaigns.oracle.inserts import Inserted
from tests.campaigns.oracle.records import Truth, now_s, payload_of
from tests.harness import sql

DatabaseErrors = (psycopg.Error, pymysql.err.Error, sqlite3.Error, OSError)
PREPARE = (
    "CREATE TABLE other (id BIGINT PRIMARY KEY)",
    "ALTER TABLE posts ADD COLUMN ref BIGINT",
    "CREATE UNIQUE INDEX posts_ref ON posts (ref)",
)
END_HOLDERS = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE relation = pg_get_serial_sequence('posts', 'id')::regclass AND pid <> pg_backend_pid()
"""
OPEN_IN_MARIADB = """
    SELECT trx_mysql_thread_id FROM information_schema.innodb_trx
    JOIN information_schema.processlist ON id = trx_mysql_thread_id
    WHERE db = DATABASE() AND id <> CONNECTION_ID()
"""
TRUNCATE = {
    # Everything that empties the table is one transaction, so that the snapshot is the last word.
    "sqlite": (
        "BEGIN IMMEDIATE",
        "DELETE FROM posts",
        "DELETE FROM sqlite_sequence WHERE name = 'posts'",
    ),
    "postgresql": (
        "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE",
        # Who took an id before and inserts now waits for us, and we would for the sequence.
        END_HOLDERS,
        "TRUNCATE posts RESTART IDENTITY",
    ),
    # TRUNCATE would commit a transaction; the lock of the table lasts through it, and no reader
    # sees the table before it is filled.
    "mariadb": ("LOCK TABLES posts WRITE", "TRUNCATE TABLE posts"),
}
IMPATIENT = {
    "postgresql": ("SET lock_timeout = '3s'",),
    "mariadb": ("SET SESSION lock_wait_timeout = 3",),
}
SET_NEXT = {"postgresql": "SELECT setval(pg_get_serial_sequence('posts', 'id'), {})"}
Refill = Callable[[Any], list[Inserted]]


def prepare(url: str) -> None:
    """What the writers need of the wall's table, before its first row: see `inserts.py`."""
    for statement in PREPARE:
        sql.execute(url, statement)


def read_rows(cursor: Any) -> dict[str, int]:
    """Payload → id of every row."""
    cursor.execute("SELECT id, body FROM posts")
    return {payload_of(body): int(row_id) for row_id, body in cursor.fetchall()}


def read_truth(url: str) -> Truth:
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        return Truth(read_rows(cursor))


def empty(url: str, refill: Refill = lambda _: []) -> tuple[Truth, list[Inserted]]:
    """Empties the table, starts its ids again and fills it, in one step for everybody who reads.

    What it held until then, and the new rows. Raises one of DatabaseErrors where a writer waits for
    us and we for it.
    """
    dialect = sql.dialect_of(url)
    first, *rest = TRUNCATE[dialect]
    _end_transactions(url)
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        for statement in IMPATIENT.get(dialect, ()):
            cursor.execute(statement)
        cursor.execute(first)
        rows = read_rows(cursor)
        began_s = now_s()
        for statement in rest:
            cursor.execute(statement)
        new = refill(cursor)
        connection.commit()
        return Truth(rows, began_s, now_s()), new


def go_on_from(cursor: Any, dialect: str, row_id: int) -> None:
    """Where a row with a given id does not move the sequence."""
    if dialect in SET_NEXT:
        cursor.execute(SET_NEXT[dialect].format(row_id))


def _end_transactions(url: str) -> None:
    """Those that hold the table: its lock waits for them, and one stays open all the time."""
    match sql.dialect_of(url):
        case "postgresql":
            sql.execute(url, END_HOLDERS)
        case "mariadb":
            for (thread,) in sql.execute(url, OPEN_IN_MARIADB):
                with suppress(pymysql.err.OperationalError):  # it went by itself meanwhile
                    sql.execute(url, f"KILL CONNECTION {int(thread)}")
