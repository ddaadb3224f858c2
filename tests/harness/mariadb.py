"""A private MariaDB: the machine's `mariadbd` (Debian: mariadb-server-core) on a temp folder."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymysql

from tests.harness import sql
from tests.harness.process import (
    Child,
    PartMissing,
    run,
    server_folder,
    unprivileged_user,
    wait_until,
)
from tests.harness.server import START_TIMEOUT_S, DatabaseServer, StatementCount, StopMode

STOP_SIGNALS: dict[StopMode, signal.Signals] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}
SYSTEM_FOLDERS = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-networking=0",
    "--character-set-server=utf8mb4",
    "--max-connections=300",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",  # survives a killed server, not a power cut
    "--innodb-flush-method=nosync",
    "--sync-frm=0",
    "--innodb-log-file-size=16M",
    "--skip-log-bin",
    "--general-log=0",
    "--log-output=TABLE",
)
# Lets performance_schema.metadata_locks tell who holds a table. Off by default, both of them.
METADATA_LOCKS = (
    "--performance-schema=ON",
    "--performance-schema-instrument=wait/lock/metadata/sql/mdl=ON",
)


class MariaDB(DatabaseServer):
    """One server; `with MariaDB() as server` starts it and ends it for good."""

    def __init__(self, *options: str) -> None:
        self._options = (*OPTIONS, *options)
        self._mariadbd = _program("mariadbd")
        install = _program("mariadb-install-db")
        self.user = unprivileged_user("mysql", "nobody", "daemon")
        self._folder = server_folder("mariadb", self.user)
        self._data = self._folder / "data"
        super().__init__(self._folder, "mariadb.log", STOP_SIGNALS)
        # A server that starts deletes temporary tables in its tmpdir, those of others too.
        self._places = [f"--datadir={self._data}", f"--tmpdir={self._folder}"]
        command = [install, "--no-defaults", *self._places, "--skip-test-db"]
        run([*command, "--auth-root-authentication-method=normal"], self.user)

    @property
    def url(self) -> str:
        return self.url_of("mysql")

    def url_of(self, database: str) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    @property
    def client(self) -> Path:
        """The command-line client."""
        return _program("mariadb")

    @property
    def version(self) -> str:
        return run([self._mariadbd, "--no-defaults", "--version"]).split("Ver ")[1].split("-")[0]

    def start(self) -> None:
        """Starts it on its port, the same after every restart, and waits until it answers."""
        places = [*self._places, f"--socket={self._folder / 'socket'}"]
        places += [f"--port={self.port}", f"--pid-file={self._folder / 'pid'}"]
        command = [self._mariadbd, "--no-defaults", *places, *self._options]
        self._child = Child(command, self._log_path, user=self.user, death_signal=signal.SIGKILL)
        wait_until(self._answers, START_TIMEOUT_S, f"MariaDB answers; its log: {self._log_path}")

    def create_database(self) -> str:
        """The url of a new, empty database."""
        name = f"db{next(self._numbers)}"
        sql.execute(self.url, f"CREATE DATABASE `{name}`")
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Ends its transactions first, the prepared ones too: they would hold the drop up."""
        name = url.rsplit("/", 1)[1]
        query = "SELECT id FROM information_schema.processlist WHERE db = %s"
        for (thread,) in sql.execute(self.url, query, [name]):
            with suppress(pymysql.err.OperationalError):  # it went by itself meanwhile
                sql.execute(self.url, f"KILL SOFT CONNECTION {int(thread)}")
        for *_, prepared in sql.execute(self.url, "XA RECOVER"):
            sql.end_prepared(self.url, prepared, "ROLLBACK")
        sql.execute(self.url, f"DROP DATABASE IF EXISTS `{name}`")

    def connections(self, url: str) -> int:
        """Open client connections to the database of this url."""
        query = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s"
        return int(sql.execute(self.url, query, [url.rsplit("/", 1)[1]])[0][0])

    @contextmanager
    def count_statements(self, url: str) -> Iterator[StatementCount]:
        """Counts what clients execute in the database of this url inside the block.

        The log knows threads, not databases; connections opened meanwhile tell theirs at connect.
        """
        name = url.rsplit("/", 1)[1]
        count = StatementCount()
        query = "SELECT id FROM information_schema.processlist WHERE db = %s"
        threads = {int(row[0]) for row in sql.execute(self.url, query, [name])}
        sql.execute(self.url, "TRUNCATE mysql.general_log")
        sql.execute(self.url, "SET GLOBAL general_log = 1")
        try:
            yield count
        finally:
            sql.execute(self.url, "SET GLOBAL general_log = 0")
            count.statements += self._logged(threads, name)

    def _logged(self, threads: set[int], name: str) -> list[str]:
        lines = []
        columns = "thread_id, command_type, CONVERT(argument USING utf8mb4)"
        rows = sql.execute(self.url, f"SELECT {columns} FROM mysql.general_log ORDER BY event_time")
        for thread, kind, argument in rows:
            if kind == "Connect" and f" on {name} " in f"{argument} ":
                threads.add(int(thread))
            elif kind in ("Query", "Execute") and int(thread) in threads:
                lines.append(str(argument))
        return lines

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.alive, f"MariaDB ended at start:\n{self.log()[-3000:]}"
        try:
            sql.execute(self.url, "SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True


def _program(name: str) -> Path:
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS)
    if found is None:
        raise PartMissing(f"{name} is not installed (make test installs it when run as root)")
    return Path(found)
