"""Behind PgBouncer: every row on its own stream, exactly once, whatever strangers leave behind."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.pgbouncer import PgBouncer
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

TABLES = ("orders", "invoices")
ROWS = 3000
CATCH_UP_S = 60.0
# What one client of a transaction pooler leaves on a connection that the next one gets.
LEFT_BEHIND = (
    "SET search_path TO elsewhere",
    "SET statement_timeout TO '1ms'",
    "SET intervalstyle TO iso_8601",
    "SET extra_float_digits TO -3",
    "SET datestyle TO German",
    "SET timezone TO 'Asia/Tokyo'",
    "SET default_transaction_isolation TO serializable",
    "SET role TO nobody_much",
    "PREPARE _pg3_0 AS SELECT 666",
    "DEALLOCATE ALL",
)


@pytest.fixture
def tables(postgresql_url: str) -> Iterator[str]:
    """A database with both tables, and one of each name in another schema."""
    statements = ["CREATE SCHEMA elsewhere", "CREATE ROLE nobody_much"]
    for table in TABLES:
        columns = "(id bigserial PRIMARY KEY, tag text, took interval, ratio float8)"
        statements += [
            f"CREATE TABLE {table} {columns}",
            f"CREATE TABLE elsewhere.{table} {columns}",
            f"INSERT INTO elsewhere.{table} (tag) SELECT 'stranger' FROM generate_series(1, 9)",
        ]
        statements += [insert(table, ROWS)]
    for statement in statements:
        sql.execute(postgresql_url, statement)
    yield postgresql_url
    sql.execute(postgresql_url, "DROP ROLE nobody_much")


def insert(table: str, rows: int) -> str:
    return (
        f"INSERT INTO {table} (tag, took, ratio) "
        f"SELECT '{table}', '1 day 02:03:04', 0.1::float8 + 0.2::float8 "
        f"FROM generate_series(1, {rows})"
    )


@contextmanager
def strangers(url: str) -> Iterator[None]:
    """Another program's clients in the same pool, who go on all the time."""
    over = threading.Event()

    def client() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
            while not over.wait(0.002):
                for statement in LEFT_BEHIND:
                    try:
                        connection.execute(statement.encode())
                        connection.execute(b"SELECT 666")
                    except psycopg.Error:  # its neighbour prepared the same name, or set a time-out
                        continue

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_behind_a_pooler_every_row_is_on_its_own_stream_exactly_once(
    start_pgbouncer: Callable[..., PgBouncer],
    start_gunicorn: Callable[..., Gunicorn],
    open_stream: OpenStream,
    tables: str,
    mode: str,
) -> None:
    pooler = start_pgbouncer(mode)
    # Nothing is in the ring at first, so that clients from 0 read the table in pages.
    env = {"DATABASE_URL": pooler.url(tables), "ROWCAST_HISTORY": "0", "ROWCAST_BATCH": "100"}
    env |= {"FEEDS": " ".join(TABLES), "ROWCAST_POST_RATE": ""}  # which is a setting of the wall
    env["SHOWN"] = "id tag ratio"
    with strangers(pooler.url(tables)):
        wall = start_gunicorn(env, app="tests.serving.many_feeds:app").wait_ready()
        streams = [
            (table, open_stream(f"{wall.url}/stream/{table}", "0"))
            for table in TABLES
            for _ in range(3)
        ]
        for table in TABLES:
            for _ in range(10):
                sql.execute(tables, insert(table, 20))
        for table, stream in streams:
            stream.wait_for_rows(ROWS + 200, CATCH_UP_S)
            assert sorted(row["id"] for row in stream.rows) == list(range(1, ROWS + 201))
            assert {row["tag"] for row in stream.rows} == {table}
            assert {row["ratio"] for row in stream.rows} == {0.1 + 0.2}
            assert not stream.of_type("unreadable")
            assert not stream.of_type("reset")
