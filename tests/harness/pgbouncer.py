"""A private PgBouncer (Debian: pgbouncer) in front of a private PostgreSQL, configured as installed
but for the pool's mode, size and address: any start-up parameter that it does not know is refused.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import psycopg

from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import (
    Child,
    PartMissing,
    run,
    server_folder,
    unprivileged_user,
    wait_until,
)

START_TIMEOUT_S = 30.0
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = {size}
"""

PoolMode = Literal["session", "transaction"]


class PgBouncer:
    """One pooler; `with PgBouncer(server, "transaction") as pooler` starts it and ends it for good.

    `size` is the number of server connections for each database.
    """

    def __init__(self, server: Postgres, mode: PoolMode, *, size: int = 20) -> None:
        self._program = _program()
        self._user = unprivileged_user("nobody", "daemon")
        self._folder = server_folder("pgbouncer", self._user)
        self._log_path = self._folder / "pgbouncer.log"
        self._child: Child | None = None
        self.port = free_port()
        users = self._folder / "users"
        users.write_text('"rowcast" ""\n')
        values = {"server": server.port, "port": self.port, "users": users}
        self._file = self._folder / "pgbouncer.ini"
        self._file.write_text(CONFIGURATION.format(mode=mode, size=size, **values))

    def __enter__(self) -> Self:
        self._child = Child([self._program, self._file], self._log_path, user=self._user)
        wait_until(self._answers, START_TIMEOUT_S, f"PgBouncer answers; its log: {self._log_path}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def version(self) -> str:
        return run([self._program, "--version"]).split()[1]

    def url(self, url: str) -> str:
        """The way through the pooler to the database of a server's url."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.port}").geturl()

    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.alive, f"PgBouncer ended at start:\n{self.log()[-3000:]}"
        try:
            psycopg.connect(self.url("postgresql://rowcast@/postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _program() -> Path:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=SYSTEM_FOLDERS)
    if found is None:
        raise PartMissing("pgbouncer is not installed (make test installs it when run as root)")
    return Path(found)
