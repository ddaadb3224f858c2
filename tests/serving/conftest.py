"""Fixtures of the end-to-end tests: a wall that is ready, and other programs at its database."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import run
from tests.serving.helpers import PATHS
from tests.serving.watch import Site

Wall = Callable[..., Gunicorn]

SQLITE_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute(sys.argv[2])
connection.commit()
connection.close()
"""


@pytest.fixture
def path_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes the wall serve its streams by one path; the default one, unless `BOTH_PATHS`."""
    name = getattr(request, "param", None)
    return {} if name is None else PATHS[name]


@pytest.fixture
def start_wall(start_gunicorn: Callable[..., Gunicorn], path_settings: dict[str, str]) -> Wall:
    """start_wall(url, workers=…, settings={…}): the wall on that database, ready."""

    def start(url: str, settings: dict[str, str] | None = None, **options: Any) -> Gunicorn:
        env = {"DATABASE_URL": url, **path_settings, **(settings or {})}
        return start_gunicorn(env, **options).wait_ready()

    return start


@pytest.fixture(scope="module")
def shared_path(request: pytest.FixtureRequest) -> dict[str, str]:
    """As `path_settings`, for the wall that a module shares."""
    return PATHS[getattr(request, "param", "fanout")]


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    shared_url: str,
    shared_path: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """One wall for each kind of database, for the tests of a module that do not mind the others'
    rows. A module's `SHARED_WALL` gives its settings and its number of workers.

    A test waits for the rows it writes, on every worker: the next one's streams begin after them.
    """
    wanted = getattr(request.module, "SHARED_WALL", {})
    env = {"DATABASE_URL": shared_url, **shared_path, **wanted.get("settings", {})}
    folder = tmp_path_factory.mktemp("site")
    with Gunicorn(folder, env, workers=wanted.get("workers", 1)) as server:
        yield Site(server.wait_ready(), shared_url)


@pytest.fixture(scope="module")
def any_wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One wall on SQLite for the tests of a module that ask nothing of its settings or its rows.

    It has one worker, and whoever posts waits for the row: the next stream begins after it.
    """
    folder = tmp_path_factory.mktemp("any-wall")
    with Gunicorn(folder, {}) as server:
        yield server.wait_ready()


@pytest.fixture
def server_of(running_servers: list[Postgres | MariaDB]) -> Callable[[str], Postgres | MariaDB]:
    """server_of(url): the database server that a url leads to."""

    def find(url: str) -> Postgres | MariaDB:
        return next(one for one in running_servers if one.port == urlsplit(url).port)

    return find


@pytest.fixture
def other_program(
    server_of: Callable[[str], Postgres | MariaDB],
) -> Callable[[str, str], None]:
    """other_program(url, statement): executes it with the client program of the database."""

    def execute(url: str, statement: str) -> None:
        if sql.dialect_of(url) == "sqlite":
            run([sys.executable, "-c", SQLITE_PROGRAM, sql.sqlite_path(url), statement])
            return
        server = server_of(url)
        if isinstance(server, Postgres):
            run([server.psql, "-X", "-d", url, "-c", statement])
        else:
            address = ["-h", "127.0.0.1", "-P", str(server.port), "-u", "root"]
            run([server.client, "--no-defaults", *address, Path(url).name, "-e", statement])

    return execute
