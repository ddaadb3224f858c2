"""The watched table from the side: its rows, its truncation, another table beside it."""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg
import pymysql

from tests.campaigns.oracle.records import Truth, now_s, payload_of
from tests.harness import sql

DatabaseErrors = (psycopg.Error, pymysql.err.Error, sqlite3.Error, OSError)
END_HOLDERS = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE relation = pg_get_serial_sequence('posts', 'id')::regclass AND pid <> pg_backend_pid()
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
    # TRUNCATE would commit a transaction; the lock of the table lasts through it.
    "mariadb": ("LOCK TABLES posts WRITE", "TRUNCATE TABLE posts"),
}
OTHER_TABLE = "CREATE TABLE other (id BIGINT PRIMARY KEY)"


def read_rows(cursor: Any) -> dict[str, int]:
    """Payload → id of every row."""
    cursor.execute("SELECT id, body FROM posts")
    return {payload_of(body): int(row_id) for row_id, body in cursor.fetchall()}


def read_truth(url: str) -> Truth:
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        return Truth(read_rows(cursor))


def truncate(url: str) -> Truth:
    """Empties the table and starts its ids again; what it held until then.

    Raises one of DatabaseErrors where a writer waits for us and we for it.
    """
    first, *rest = TRUNCATE[sql.dialect_of(url)]
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(first)
        rows = read_rows(cursor)
        began_s = now_s()
        for statement in rest:
            cursor.execute(statement)
        connection.commit()
        return Truth(rows, began_s, now_s())
