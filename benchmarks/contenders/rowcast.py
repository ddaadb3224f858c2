"""Ours, started as a user would start it: `gunicorn app:app`, default settings, rows by SQL.

Knows nothing of a checkout but its outside: the environment, HTTP, SSE, the table `posts`. So it
also runs another version from another folder. Every `ROWCAST_…` in the environment of the benchmark
is passed on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.contenders.base import Contender
from benchmarks.machine import CORES, PROJECT
from tests.harness import sql
from tests.harness.gunicorn import WALL, Gunicorn


class Rowcast(Contender):
    """`database_url` is an SQLite file of its own by default; `checkout` is whose code runs."""

    def __init__(
        self,
        folder: Path,
        *,
        fanout: bool = True,
        database_url: str = "",
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        checkout: Path = PROJECT,
    ) -> None:
        super().__init__(folder)
        if workers > 1:
            self.cores = set(CORES)
        self.title = "Rowcast" if fanout else "Rowcast, generator"
        self.database_url = database_url or f"sqlite:///{folder / 'bench.sqlite3'}"
        given = {name: value for name, value in os.environ.items() if name.startswith("ROWCAST_")}
        chosen = {"ROWCAST_FANOUT": str(fanout).lower(), "DATABASE_URL": self.database_url}
        # An empty poll interval: the product's default instead of the test harness's.
        settings = {"ROWCAST_POLL_INTERVAL": "", **given, **chosen, **(env or {})}
        self.server = Gunicorn(folder, settings, workers=workers, project=checkout, app=WALL)
        self.port = self.server.port

    @property
    def health_url(self) -> str:
        return f"{self.server.url}/healthz"

    def start(self) -> None:
        self._stack.enter_context(self.server)
        self.server.wait_ready()
        self._connection = self._stack.enter_context(sql.connect(self.database_url))

    def send(self, texts: Sequence[str]) -> None:
        """All in one transaction."""
        mark = "?" if sql.dialect_of(self.database_url) == "sqlite" else "%s"
        cursor = self._connection.cursor()
        cursor.executemany(
            f"INSERT INTO posts (author, body) VALUES ('bench', {mark})",
            [(text,) for text in texts],
        )
        cursor.close()
        self._connection.commit()

    def reload(self) -> None:
        assert self.server.child is not None
        self.server.child.signal(signal.SIGHUP)

    def pids(self) -> list[int]:
        assert self.server.child is not None
        return [self.server.child.pid, *self.server.worker_pids()]
