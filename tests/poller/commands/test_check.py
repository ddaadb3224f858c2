"""`rowcast check`: is everything there that a server needs?"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result

from poller.commands.checkup import OF_A_WORKER
from tests.harness import sql
from tests.harness.ports import free_port

Run = Callable[..., Result]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_what_is_there_is_said(database_url: str, rowcast: Run) -> None:
    sql.execute(database_url, "SELECT 1")  # makes SQLite's file
    env = {"ROWCAST_POLL_INTERVAL": "0.25"}
    port = free_port()
    ended = rowcast("check", database_url, "--port", port, "--workers", 2, env=env)
    said = ended.stdout
    assert ended.exit_code in (0, 1), said  # 1: this shell allows few files
    assert "settings: ROWCAST_POLL_INTERVAL set, the others at their defaults" in said
    assert f"port: 127.0.0.1:{port} is free" in said
    assert "each of 2 workers polls for itself, 8 queries a second for each table" in said
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
    assert f"{name[sql.dialect_of(database_url)]} " in said
    if sql.dialect_of(database_url) != "sqlite":
        assert f"connections: the workers open up to {2 * OF_A_WORKER}, the server takes" in said


def test_too_few_connections_are_named(postgresql_url: str, rowcast: Run) -> None:
    port = free_port()
    ended = rowcast("check", postgresql_url, "--workers", 300, "--port", port)
    assert ended.exit_code == 1
    assert "lacks  connections: the workers open up to" in ended.stdout


def test_everything_that_fails_is_named_at_once(taken_port: int, rowcast: Run) -> None:
    env = {"ROWCAST_GRACE": "1", "PORT": str(taken_port)}
    ended = rowcast("check", "postgresql://rowcast@127.0.0.1:1/shop", env=env)
    assert ended.exit_code == 2
    fails = [line for line in ended.stdout.splitlines() if line.startswith("fails")]
    assert [line.split()[1] for line in fails] == ["ROWCAST_GRACE", "database:", "port:"]
    assert "what to do: stop what runs there" in ended.stdout


def test_no_database_is_one_of_the_things_that_fail(rowcast: Run) -> None:
    ended = rowcast("check", "--port", free_port())
    assert ended.exit_code == 2
    assert "no database: name the database" in ended.stdout
