"""Calls that never block the hub, and what they do about faults."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from sqlalchemy.exc import SQLAlchemyError

from poller.reading.database import Database, DatabaseTimeout
from tests.harness import sql

PROJECT = Path(__file__).parents[3]
TICKS, TICK_S = 100, 0.005
NEVER_S = 1e6


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url, query_timeout_s=5.0)
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
    yield database
    database.close()


def insert(database: Database) -> None:
    database.write(lambda c: c.exec_driver_sql("INSERT INTO notes DEFAULT VALUES"))


def count(database: Database) -> int:
    return database.read(
        lambda c: int(c.exec_driver_sql("SELECT count(*) FROM notes").scalar_one())
    )


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg"),
        ("postgres://u:p@h/d", "postgresql+psycopg"),
        ("mysql://u:p@h/d", "mysql+pymysql"),
        ("mariadb://u:p@h/d", "mariadb+pymysql"),
        ("mysql+pymysql://u:p@h/d", "mysql+pymysql"),
        ("sqlite:///x.db", "sqlite"),
    ],
)
def test_a_plain_url_gets_a_driver_that_waits_cooperatively(url: str, driver: str) -> None:
    assert Database(url).url.drivername == driver


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql://u:geheim@h/d", "psycopg", "rowcast[postgresql]"),
        ("mysql://u:geheim@h/d", "pymysql", "rowcast[mysql]"),
        ("mariadb://u:geheim@h/d", "pymysql", "rowcast[mysql]"),
    ],
)
def test_a_driver_that_is_not_installed_is_said_with_its_extra(
    url: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ImportError) as refusal:
        Database(url)
    told = str(refusal.value)
    assert told.startswith(f"{driver}, the driver for ")
    assert told.endswith(f"is not installed: pip install '{extra}'")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_an_in_memory_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="name a file"):
        Database(url)


def test_sqlite_is_in_wal_mode(database: Database) -> None:
    mode = database.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar_one())
    assert mode == "wal"


def test_a_lock_of_another_process_is_waited_for_and_freezes_nobody(
    database: Database, sqlite_url: str
) -> None:
    other = sqlite3.connect(sql.sqlite_path(sqlite_url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writers = [gevent.spawn(insert, database) for _ in range(20)]
    for _ in range(TICKS):  # a writer that froze us would have waited too long before the last
        gevent.sleep(TICK_S)
        assert count(database) == 0  # readers go on
    other.execute("COMMIT")
    other.close()
    gevent.joinall(writers, timeout=30, raise_error=True)
    assert count(database) == 20


def test_a_lock_that_stays_is_an_error_in_the_end(sqlite_url: str) -> None:
    database = Database(sqlite_url, query_timeout_s=0.3)
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY)"))
    other = sqlite3.connect(sql.sqlite_path(sqlite_url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises((SQLAlchemyError, DatabaseTimeout)):
        insert(database)
    other.close()
    insert(database)
    assert count(database) == 1
    database.close()


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: "object") -> None:
        connection.exec_driver_sql("INSERT INTO notes DEFAULT VALUES")  # type: ignore[attr-defined]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)
    assert count(database) == 0


def test_a_slow_query_is_given_up_and_its_connection_closed(
    postgresql_url: str,
) -> None:
    from gevent import socket  # noqa: F401 - this process is not patched: see below

    database = Database(postgresql_url, query_timeout_s=2.0)
    # psycopg waits cooperatively only where gevent has patched the process, so the timer is let
    # fire from inside the work, as it would from psycopg's wait.
    with pytest.raises(DatabaseTimeout, match="2 s"):
        database.read(lambda _: gevent.sleep(NEVER_S))
    assert database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert database.read(lambda c: c.exec_driver_sql("SELECT 1").scalar_one()) == 1
    database.close()


def test_a_dead_pooled_connection_costs_nobody_an_error(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    for call in (database.read, database.write):
        pid = database.read(lambda c: c.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        sql.execute(postgresql_url, f"SELECT pg_terminate_backend({pid})")
        assert call(lambda c: c.exec_driver_sql("SELECT 1").scalar_one()) == 1
    database.close()


def test_a_query_that_we_gave_up_does_not_stay_on_the_server(postgresql_url: str) -> None:
    database = Database(postgresql_url, query_timeout_s=2.0)
    shown = database.read(lambda c: c.exec_driver_sql("SHOW statement_timeout").scalar_one())
    assert shown == "3s"
    database.close()


STRESS = """
from gevent import monkey

monkey.patch_all()

import sys

import gevent

from poller.reading.database import Database

for round in range(15):
    database = Database(sys.argv[1])

    def use(number):
        if number % 4 == 0:
            database.dispose()
        if number % 3 == 0:
            database.write(lambda c: c.exec_driver_sql("INSERT INTO notes DEFAULT VALUES"))
        return database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM notes").scalar_one())

    users = [gevent.spawn(use, number) for number in range(24)]
    gevent.joinall(users, timeout=20)
    assert all(user.ready() for user in users), "stuck"
    assert all(user.successful() for user in users)
    database.close()
"""


def test_many_first_calls_at_once_do_not_block_each_other(
    sqlite_url: str,
) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    command = [sys.executable, "-c", STRESS, sqlite_url]
    subprocess.run(command, check=True, timeout=60, cwd=PROJECT)
    assert sql.execute(sqlite_url, "SELECT count(*) FROM notes") == [(15 * 8,)]


FIRST = """
from gevent import monkey

monkey.patch_all()

import sys

import gevent

from poller.reading.database import Database
from poller.reading.table import Table

for round in range(3):
    database = Database(sys.argv[1])
    tables = [Table("notes") for _ in range(20)]

    def look(table):
        database.dispose()  # as somebody does who met another history
        database.read(table.describe)

    looks = [gevent.spawn(look, table) for table in tables]
    gevent.joinall(looks, timeout=30, raise_error=True)
    assert all(table.described for table in tables)
    database.close()
"""


def test_first_calls_at_the_same_moment_do_not_spoil_each_other(database_url: str) -> None:
    """SQLAlchemy learns about the server from its first connection."""
    sql.execute(database_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    command = [sys.executable, "-c", FIRST, database_url]
    subprocess.run(command, check=True, timeout=60, cwd=PROJECT)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_read_that_failed_lets_go_of_its_connection(
    request: pytest.FixtureRequest, server: str
) -> None:
    """Whatever is wrong with a session is gone at the next try."""
    database = Database(str(request.getfixturevalue(f"{server}_url")))
    spoil = {
        "postgresql": "SET search_path TO nowhere",
        "mariadb": "SET sql_mode = 'ANSI_QUOTES'",
    }[server]
    asks = {"postgresql": "SHOW search_path", "mariadb": "SELECT @@sql_mode"}[server]
    before = database.read(lambda c: c.exec_driver_sql(asks).scalar_one())
    for error in (ZeroDivisionError, gevent.Timeout):

        def fails(connection: "object", error: type[BaseException] = error) -> None:
            connection.exec_driver_sql(spoil)  # type: ignore[attr-defined]
            raise error

        with pytest.raises(error):
            database.read(fails)
        assert database.read(lambda c: c.exec_driver_sql(asks).scalar_one()) == before
    database.close()


def test_times_come_in_utc(database_url: str) -> None:
    database = Database(database_url)
    asks = {
        "sqlite": "SELECT 'UTC'",
        "postgresql": "SHOW timezone",
        "mysql": "SELECT @@session.time_zone",
    }
    zone = database.read(
        lambda c: c.exec_driver_sql(asks[database.dialect.replace("mariadb", "mysql")]).scalar_one()
    )
    assert zone in ("UTC", "+00:00")
    database.close()
