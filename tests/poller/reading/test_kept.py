"""The connections that polls keep: how many, when they go, and that no fork uses them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poller.reading.database import Database
from poller.reading.turns import POLLS_AT_ONCE
from tests.harness import sql

PROJECT = Path(__file__).parents[3]
PID = "SELECT pg_backend_pid()"


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url)
    yield database
    database.close()


def pid(connection: Connection) -> int:
    return int(connection.exec_driver_sql(PID).scalar_one())


def polled(database: Database) -> int:
    return database.read(pid, polling=True)


def sessions(url: str) -> int:
    """Ours at the server, without the one that asks."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowcast'"
    return int(sql.execute(url, f"{count} AND datname = current_database()")[0][0])


def test_polls_go_on_with_one_connection_and_leave_the_pool_to_others(
    database: Database, postgresql_url: str
) -> None:
    first = polled(database)
    others = {database.read(pid) for _ in range(3)}
    assert {polled(database) for _ in range(5)} == {first}
    assert len(others) == 1
    assert first not in others
    assert sessions(postgresql_url) == 2


def test_so_many_are_kept_as_may_poll_at_once(database: Database, postgresql_url: str) -> None:
    go_on, begun = Event(), []

    def poll(connection: Connection) -> None:
        begun.append(pid(connection))
        go_on.wait()

    pollers = [gevent.spawn(database.read, poll, polling=True) for _ in range(POLLS_AT_ONCE + 2)]
    while len(begun) < POLLS_AT_ONCE:
        gevent.sleep(0.001)
    go_on.set()
    gevent.joinall(pollers, raise_error=True)
    assert len(set(begun)) == POLLS_AT_ONCE
    assert sessions(postgresql_url) <= POLLS_AT_ONCE + 1  # the first connection went to the pool


def test_one_in_whose_use_something_was_raised_is_not_used_again(database: Database) -> None:
    before = polled(database)

    def fail(connection: Connection) -> None:
        assert pid(connection) == before
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.read(fail, polling=True)
    assert polled(database) != before


def test_a_dead_one_costs_no_poll_an_error(database: Database, postgresql_url: str) -> None:
    for _ in range(3):
        dead = polled(database)
        sql.execute(postgresql_url, f"SELECT pg_terminate_backend({dead})")
        assert polled(database) != dead


def test_an_error_of_the_statement_is_raised(database: Database) -> None:
    with pytest.raises(DBAPIError, match="nowhere"):
        database.read(lambda c: c.exec_driver_sql("SELECT * FROM nowhere"), polling=True)


def test_none_is_left_after_dispose_and_none_in_use_is_kept_after_it(
    database: Database, postgresql_url: str
) -> None:
    before = polled(database)
    database.dispose()
    assert sessions(postgresql_url) == 0

    def disposed_meanwhile(connection: Connection) -> int:
        database.dispose()
        return pid(connection)

    used = database.read(disposed_meanwhile, polling=True)
    assert used != before
    assert polled(database) != used


FORK = """
from gevent import monkey

monkey.patch_all()

import json, os, sys

from poller.reading.database import Database

url, asked = sys.argv[1:]
database = Database(url)


def sessions():
    def session(connection):
        return connection.exec_driver_sql(asked).scalar_one()

    return [database.read(session, polling=True), database.read(session)]


ours = sessions()
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.write(writing, json.dumps(sessions()).encode())
    database.close()
    os._exit(0)
os.close(writing)
os.waitpid(child, 0)
theirs = json.loads(open(reading).read())
assert sessions() == ours, "the child ended a session of its parent"
assert "sqlite" in url or not {*ours} & {*theirs}, "the child speaks in a session of its parent"
database.close()
"""
SESSION = {
    "sqlite": "SELECT 1",
    "postgresql": PID,
    "mariadb": "SELECT connection_id()",
}


def test_a_fork_uses_no_connection_of_its_parent_and_ends_none(database_url: str) -> None:
    asked = SESSION[sql.dialect_of(database_url)]
    command = [sys.executable, "-c", FORK, database_url, asked]
    subprocess.run(command, check=True, timeout=60, cwd=PROJECT)
