"""The watched table from the side: its rows, its end and its beginning anew, a table beside it."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

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


class Open(NamedTuple):
    """How the transactions that hold the table are ended: those that wrote, and those that read for
    long, as one of a worker that was stopped meanwhile. The last statement of `set_up` tells the
    own one's number, which `holders` leaves out."""

    set_up: tuple[str, ...]
    holders: str
    end: str


END_EVERY_S = 0.3
OPEN = {
    "postgresql": Open(
        ("SET lock_timeout = '10s'", "SELECT pg_backend_pid()"),
        """
        SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE relation = 'posts'::regclass AND granted AND pid <> %s
        AND (mode <> 'AccessShareLock' OR xact_start < now() - interval '2 s')
        """,
        "SELECT pg_terminate_backend({})",
    ),
    "mariadb": Open(
        ("SET SESSION lock_wait_timeout = 10", "SELECT CONNECTION_ID()"),
        """
        SELECT trx_mysql_thread_id FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON id = trx_mysql_thread_id
        WHERE db = DATABASE() AND id <> %s
        AND (trx_rows_modified > 0 OR trx_started < NOW() - INTERVAL 2 SECOND)
        """,
        "KILL CONNECTION {}",
    ),
}
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
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        with _others_ended(url, cursor):
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


@contextmanager
def _others_ended(url: str, cursor: Any) -> Iterator[None]:
    """Inside, transactions that hold the table are ended again and again: its lock waits for them,
    and one stays open all the time. Who comes later waits for the lock."""
    dialect = sql.dialect_of(url)
    if dialect not in OPEN:
        yield
        return
    for statement in OPEN[dialect].set_up:
        cursor.execute(statement)
    (own,) = cursor.fetchone()
    there = threading.Event()

    def end_others() -> None:
        while not there.wait(END_EVERY_S):
            with suppress(*DatabaseErrors):
                for (one,) in sql.execute(url, OPEN[dialect].holders, (own,)):
                    with suppress(*DatabaseErrors):  # it went by itself meanwhile
                        sql.execute(url, OPEN[dialect].end.format(int(one)))

    thread = threading.Thread(target=end_others)
    thread.start()
    try:
        yield
    finally:
        there.set()
        thread.join()
