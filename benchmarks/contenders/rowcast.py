"""Ours, as a user would start it: `gunicorn app:app`, default settings, rows inserted into SQL.

Whatever `ROWCAST_…` stands in the environment of the benchmark is passed on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.contenders.base import Contender
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn

DEFAULTS = {"ROWCAST_POLL_INTERVAL": "", "ROWCAST_POST_RATE": "1000000 per minute"}
TICKING = Path(__file__).with_name("ticking.conf.py")


class Rowcast(Contender):
    """`url` is the database, default an SQLite file of its own; `ticking`: see ticking.conf.py."""

    title = "Rowcast"

    def __init__(
        self,
        folder: Path,
        *,
        fanout: bool,
        database_url: str = "",
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        ticking: bool = False,
    ) -> None:
        super().__init__(folder)
        self.fanout = fanout
        self.database_url = database_url or f"sqlite:///{folder / 'bench.sqlite3'}"
        given = {name: value for name, value in os.environ.items() if name.startswith("ROWCAST_")}
        chosen = {"ROWCAST_FANOUT": str(fanout).lower(), "DATABASE_URL": self.database_url}
        self.ticks_path = folder / "ticks"
        self.server = Gunicorn(
            folder,
            {**DEFAULTS, **given, **chosen, "TICKS": str(self.ticks_path), **(env or {})},
            workers=workers,
            options=["-c", str(TICKING)] if ticking else [],
        )
        self.port = self.server.port

    @property
    def name(self) -> str:
        return f"Rowcast, {'Fanout' if self.fanout else 'generator'}"

    def start(self) -> None:
        self._stack.enter_context(self.server)
        self.server.wait_ready()
        self._connection = self._stack.enter_context(sql.connect(self.database_url))

    def send(self, texts: Sequence[str]) -> None:
        """All in one transaction."""
        mark = "?" if sql.dialect_of(self.database_url) == "sqlite" else "%s"
        with closing(self._connection.cursor()) as cursor:
            cursor.executemany(
                f"INSERT INTO posts (author, body) VALUES ('bench', {mark})",
                [(text,) for text in texts],
            )
        self._connection.commit()

    def pids(self) -> list[int]:
        assert self.server.child is not None
        return [self.server.child.pid, *self.server.worker_pids()]

    def gaps_ms(self, since_s: float) -> list[tuple[float, float]]:
        """The longest gap of each quarter of a second since then, and the most CPU taken in one;
        needs `ticking`."""
        lines = [line.split() for line in self.ticks_path.read_text().splitlines()]
        return [(float(gap), float(cpu)) for at, gap, cpu in lines if float(at) > since_s]
