"""What a poll costs on each database, in the worker and in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil

from benchmarks.case import Bench, Case, Figures
from benchmarks.contenders import Rowcast
from benchmarks.load import Load
from benchmarks.measure import cpu_s
from benchmarks.plan import FULL
from benchmarks.tables import number, table
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing
from tests.harness.server import DatabaseServer

POLL_INTERVAL_S = 0.02
SERVERS: dict[str, Callable[[], DatabaseServer] | None] = {
    "SQLite": None,
    "PostgreSQL": Postgres,
    "MariaDB": MariaDB,
}

METHOD = f"""
A worker with one stream polls every {1000 * POLL_INTERVAL_S:g} ms for {FULL.poll_s:g} s and finds
nothing: its CPU, and that of the database's processes, divided by the polls. **At 0.5 s** is what
both take together at the default interval, in % of a core.
"""


def run(bench: Bench) -> Iterator[Figures]:
    for name, make in SERVERS.items():
        bench.say(name)
        try:
            yield {"database": name, **_poll(bench, make)}
        except PartMissing as reason:
            yield {"database": name, "missing": str(reason)}
        except (AssertionError, OSError) as error:
            yield {"database": name, "failed": f"{error}"[:300]}


def _poll(bench: Bench, make: Callable[[], DatabaseServer] | None) -> Figures:
    with ExitStack() as stack:
        database = stack.enter_context(make()) if make else None
        folder = stack.enter_context(bench.folder())
        url = database.create_database() if database else ""
        env = {"ROWCAST_POLL_INTERVAL": str(POLL_INTERVAL_S)}
        server = stack.enter_context(Rowcast(folder, fanout=True, database_url=url, env=env))
        load = stack.enter_context(Load(server.url))
        load.open(1)
        theirs = database.pids() if database else []
        polls, ours_s = server.server.metric("rowcast_polls_total"), cpu_s(server.pids())
        theirs_s = {pid: cpu_s([pid]) for pid in theirs}
        time.sleep(bench.plan.poll_s)
        # A helper process of the database that ended meanwhile did not poll.
        took_s = sum(cpu_s([pid]) - theirs_s[pid] for pid in theirs if psutil.pid_exists(pid))
        ours_s = cpu_s(server.pids()) - ours_s
        count = server.server.metric("rowcast_polls_total") - polls
        return {
            "polls": count,
            "worker_us": 1e6 * ours_s / count,
            "database_us": 1e6 * took_s / count,
        }


def _table(rows: list[Figures]) -> str:
    lines = []
    for row in rows:
        if "polls" not in row:
            lines.append((row["database"], row.get("missing") or row["failed"], "", "", ""))
            continue
        percent = 100 * (row["worker_us"] + row["database_us"]) / 1e6 / 0.5
        cells = (f"{row['polls']:,.0f}", *(f"{number(row[name])} µs" for name in NAMES))
        lines.append((row["database"], *cells, f"{percent:.2f} %"))
    return table(("database", "polls", "worker", "database", "at 0.5 s"), lines) + "\n"


NAMES = ("worker_us", "database_us")

CASE = Case(
    name="poll",
    title="What a poll costs",
    method=METHOD,
    run=run,
    count=lambda _: len(SERVERS),
    table=_table,
)
