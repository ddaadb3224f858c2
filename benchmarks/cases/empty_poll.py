"""What a poll without news costs a worker, beside the driver alone with the same statement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.case import Bench, Case, Figures, folder
from benchmarks.machine import PROJECT
from benchmarks.plan import FULL, Plan
from benchmarks.tables import figure, left_out, measured, ratio, table
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.server import DatabaseServer

PAUSE_S = 0.02
LONGEST_S = 300.0
ROWS = 100
SERVERS: dict[str, tuple[str, Callable[[], DatabaseServer] | None]] = {
    "SQLite": ("sqlite3", None),
    "PostgreSQL": ("psycopg", Postgres),
    "MariaDB": ("PyMySQL", MariaDB),
}
METHOD = f"""
CPU of the polling process, all its threads: {FULL.empty_polls:,} polls of one table one after the
other, and {FULL.empty_paced} with a pause of {1000 * PAUSE_S:g} ms before each, as a worker has
them, whose own cost is taken off. **Driver** executes the same statement, and fetches, on a
connection that it has. Both take turns, and the least of ten counts. On SQLite the driver works in
the calling thread, where it holds up everybody; a poll goes to a thread beside, and asks whether
anything was written.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.guarded(tuple(SERVERS), lambda name: _costs(bench, name))


def _costs(bench: Bench, name: str) -> Iterator[Figures]:
    with ExitStack() as stack:
        url = stack.enter_context(_Posts(name))
        yield {"driver": SERVERS[name][0], **costs(url, bench.plan)}


class _Posts(ExitStack):
    """A database with a table of some rows; entered, it gives the URL."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._make = SERVERS[name][1]

    def __enter__(self) -> str:  # type: ignore[override]
        super().__enter__()
        if self._make is None:
            url = f"sqlite:///{self.enter_context(folder()) / 'posts.db'}"
        else:
            url = self.enter_context(self._make()).create_database()
        key = sql.KEY_TYPES[sql.dialect_of(url)]
        sql.execute(
            url, f"CREATE TABLE posts (id {key}, author VARCHAR(40) NOT NULL, body TEXT NOT NULL)"
        )
        sql.insert_posts(url, [f"post {number}" for number in range(ROWS)])
        return url


def costs(url: str, plan: Plan, checkout: Path = PROJECT) -> Figures:
    """What `benchmarks/bare.py` prints with the code of `checkout`."""
    program = str(PROJECT / "benchmarks" / "bare.py")
    sizes = (plan.empty_polls, plan.empty_paced, PAUSE_S)
    done = subprocess.run(
        [sys.executable, "-P", program, url, *map(str, sizes)],
        check=True,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return {f"{what}_{mode}_us": us for mode, found in told.items() for what, us in found.items()}


def _table(rows: list[Figures]) -> str:
    heads = ("database", "driver", "poll", "ratio", "paced: driver", "paced: poll", "ratio")
    lines = [
        (
            f"{row['contender']}, {row['driver']}",
            figure(row["driver_now_us"], "µs"),
            figure(row["poll_now_us"], "µs"),
            ratio(row["poll_now_us"], row["driver_now_us"]),
            figure(row["driver_paced_us"], "µs"),
            figure(row["poll_paced_us"], "µs"),
            ratio(row["poll_paced_us"], row["driver_paced_us"]),
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(name="empty-poll", title="A poll without news", method=METHOD, run=run, table=_table)
