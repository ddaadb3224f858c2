"""Fixtures for all tests: databases, a browser, a server to start, and the check for leaks.

This process is not monkey-patched: what needs gevent's patches runs in a real gunicorn.
"""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from playwright.sync_api import Browser, Page

from tests.harness import sql
from tests.harness.chromium import running_chromium
from tests.harness.exercised import Exercised
from tests.harness.groups import ByGroup, long_first
from tests.harness.gunicorn import Gunicorn
from tests.harness.leaks import LeakCheck
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.pgbouncer import PgBouncer, PoolMode
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing, run
from tests.harness.sse import Stream

EXERCISED = Exercised()
LEAKS = LeakCheck()
DATABASES = ("sqlite", "postgresql", "mariadb")
SQLITE_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute(sys.argv[2])
connection.commit()
connection.close()
"""

# A busy machine takes as long for an example as it likes, and for making one up.
hypothesis.settings.register_profile(
    "rowcast", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("rowcast")

# A shell without job control lets what it puts into the background ignore Ctrl-C. So would every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlite-only", action="store_true", help="start no database server; its tests skip"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # in a process of several
        long_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    return ByGroup(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of several, what it used goes to the one that writes the last line."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["exercised"] = EXERCISED.as_data()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In that one. A process that crashed has told nothing."""
    output = getattr(node, "workeroutput", {})
    if "exercised" in output:
        EXERCISED.add(output["exercised"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in EXERCISED.lines():
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a greenlet, a thread or a connection behind."""
    before = LEAKS.census()
    yield
    left = LEAKS.left_since(before)
    assert not left, "left behind by this test:\n" + "\n".join(left)


@pytest.fixture(scope="session")
def running_servers() -> list[Postgres | MariaDB]:
    """The database servers that this session has started."""
    return []


@pytest.fixture(scope="session")
def postgres_server(
    running_servers: list[Postgres | MariaDB], pytestconfig: pytest.Config
) -> Iterator[Postgres]:
    yield from _server("PostgreSQL", Postgres, running_servers, pytestconfig)


@pytest.fixture(scope="session")
def mariadb_server(
    running_servers: list[Postgres | MariaDB], pytestconfig: pytest.Config
) -> Iterator[MariaDB]:
    yield from _server("MariaDB", MariaDB, running_servers, pytestconfig)


@pytest.fixture(scope="session")
def mariadb_mdl_server(
    running_servers: list[Postgres | MariaDB], pytestconfig: pytest.Config
) -> Iterator[MariaDB]:
    """One that shows its metadata locks, which a default installation does not."""
    with_locks = partial(MariaDB, *METADATA_LOCKS)
    yield from _server("MariaDB", with_locks, running_servers, pytestconfig)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet."""
    EXERCISED.use("SQLite", sqlite3.sqlite_version)
    return f"sqlite:///{tmp_path / 'rowcast.sqlite3'}"


@pytest.fixture
def postgresql_url(postgres_server: Postgres) -> Iterator[str]:
    yield from _fresh_database(postgres_server)


@pytest.fixture(scope="module")
def shared_postgresql_url(postgres_server: Postgres) -> Iterator[str]:
    """One database for those tests of a module that leave it as they found it: a new one takes
    longer than they do."""
    yield from _fresh_database(postgres_server)


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    yield from _fresh_database(mariadb_server)


@pytest.fixture
def mariadb_mdl_url(mariadb_mdl_server: MariaDB) -> Iterator[str]:
    yield from _fresh_database(mariadb_mdl_server)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(running_chromium())
        except PartMissing as reason:
            EXERCISED.skip("Chromium", str(reason))
        EXERCISED.use("Chromium", browser.version.split(".")[0])
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a browser context of its own: no cookie or storage of another test."""
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node with the client's packages beside it, put there by `make test`."""
    path, packages = shutil.which("node"), Path(__file__).parent / "clients" / "node_modules"
    if path is None:
        EXERCISED.skip("Node", "node is not installed")
    if not packages.is_dir():
        EXERCISED.skip("Node", "npm install was not run in tests/clients (make test does it)")
    version = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=True)
    EXERCISED.use("Node", version.stdout.strip().lstrip("v").split(".")[0])
    return Path(str(path))


@pytest.fixture
def start_gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gunicorn]]:
    """start_gunicorn(env, workers=…, options=…, start=…): a running server, ended with the test."""
    with ExitStack() as stack:

        def start(env: dict[str, str], **options: Any) -> Gunicorn:
            folder = tmp_path_factory.mktemp("gunicorn")
            return stack.enter_context(Gunicorn(folder, env, **options))

        yield start


@pytest.fixture
def start_pgbouncer(postgres_server: Postgres) -> Iterator[Callable[..., PgBouncer]]:
    """start_pgbouncer(mode, size=…): a pooler in front of PostgreSQL, ended with the test."""
    with ExitStack() as stack:

        def start(mode: PoolMode, **options: Any) -> PgBouncer:
            try:
                pooler = stack.enter_context(PgBouncer(postgres_server, mode, **options))
            except PartMissing as reason:
                EXERCISED.skip("PgBouncer", str(reason))
            EXERCISED.use("PgBouncer", pooler.version)
            return pooler

        yield start


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


@pytest.fixture
def open_stream() -> Iterator[Callable[..., Stream]]:
    """open_stream(url, last_event_id, headers, …): a `Stream`, closed with the test."""
    with ExitStack() as stack:

        def start(url: str, *arguments: Any, **options: Any) -> Stream:
            return stack.enter_context(Stream(url, *arguments, **options))

        yield start


def _server(
    name: str,
    make: Callable[[], Any],
    running_servers: list[Postgres | MariaDB],
    config: pytest.Config,
) -> Iterator[Any]:
    if config.getoption("sqlite_only"):
        EXERCISED.skip(name, "left out by --sqlite-only")
    try:
        server = make()
    except PartMissing as reason:
        EXERCISED.skip(name, str(reason))
    with server:
        EXERCISED.use(name, server.version)
        running_servers.append(server)
        yield server
        running_servers.remove(server)


SERVER_OF_KIND = {
    "postgresql": "postgres_server",
    "mariadb": "mariadb_server",
    "mariadb_mdl": "mariadb_mdl_server",
}


@pytest.fixture(scope="module", params=DATABASES)
def shared_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One database of each kind for the tests of a module that do not mind the others' rows."""
    if request.param == "sqlite":
        EXERCISED.use("SQLite", sqlite3.sqlite_version)
        yield f"sqlite:///{tmp_path_factory.mktemp('shared') / 'rowcast.sqlite3'}"
    else:
        yield from _fresh_database(request.getfixturevalue(SERVER_OF_KIND[request.param]))


def _fresh_database(server: Postgres | MariaDB) -> Iterator[str]:
    server.ensure_running()
    url = server.create_database()
    yield url
    server.ensure_running()
    server.drop_database(url)
