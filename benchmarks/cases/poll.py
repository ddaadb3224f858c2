"""What a poll costs on each database, in the worker and in the database, without gaps and with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil

from benchmarks.case import Bench, Case, Figures, folder
from benchmarks.contenders import Rowcast
from benchmarks.load import Load
from benchmarks.measure import cpu_s
from benchmarks.plan import FULL
from benchmarks.tables import figure, left_out, measured, ratio, table
from poller.runtime.settings import Settings
from tests.harness import sql
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until
from tests.harness.server import DatabaseServer

POLL_INTERVAL_S = 0.02
DEFAULT_S: float = Settings.model_fields["poll_interval_s"].default
SEEN_S = 20.0  # until the worker has noticed the gaps
SERVERS: dict[str, Callable[[], DatabaseServer] | None] = {
    "SQLite": None,  # one writer at a time: it has no gaps
    "PostgreSQL": Postgres,
    "MariaDB": MariaDB,
    "MariaDB, metadata locks": lambda: MariaDB(*METADATA_LOCKS),
}

METHOD = f"""
A worker with one stream polls every {1000 * POLL_INTERVAL_S:g} ms for {FULL.poll_s:g} s and finds
nothing. **Worker** and **database** are the CPU of their processes divided by the polls. **At
{DEFAULT_S:g} s** is what both take together at the default interval, in % of a core. A **gap** is a
missing id. Here a transaction of its own holds each gap: it has inserted into the table and stays
open. That is the worst case, since every poll then asks the database who may still commit those ids
(the fence). **Of no gap** compares the CPU of both together.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.guarded(tuple(SERVERS), lambda name: _polls(bench, SERVERS[name]))


def _polls(bench: Bench, make: Callable[[], DatabaseServer] | None) -> Iterator[Figures]:
    with ExitStack() as stack:
        database = stack.enter_context(make()) if make else None
        url = database.create_database() if database else ""
        place = stack.enter_context(folder())
        env = {"ROWCAST_POLL_INTERVAL": str(POLL_INTERVAL_S)}
        server = stack.enter_context(Rowcast(place, database_url=url, env=env))
        load = stack.enter_context(Load(server.url))
        load.open(1)
        opened = 0
        for gaps in bench.plan.poll_gaps if database else (0,):
            while opened < gaps:
                stack.enter_context(sql.Transaction(url)).insert_post("not committed")
                server.publish()
                opened += 1
            _wait_for_gaps(server, gaps)
            yield {"gaps": gaps, **_cost(server, database, bench.plan.poll_s)}


def _wait_for_gaps(server: Rowcast, count: int) -> None:
    def noticed() -> bool:
        return server.server.metric("rowcast_open_gaps") == count

    wait_until(noticed, SEEN_S, f"{count} gaps are open")


def _cost(server: Rowcast, database: DatabaseServer | None, for_s: float) -> Figures:
    """CPU per poll of the worker and the database."""
    polls, ours_s = server.server.metric("rowcast_polls_total"), cpu_s(server.pids())
    theirs_s = {pid: cpu_s([pid]) for pid in (database.pids() if database else [])}
    time.sleep(for_s)
    # A helper process of the database that has ended meanwhile did not poll.
    took_s = sum(cpu_s([pid]) - began for pid, began in theirs_s.items() if psutil.pid_exists(pid))
    ours_s = cpu_s(server.pids()) - ours_s
    count = server.server.metric("rowcast_polls_total") - polls
    assert count, f"no poll in {for_s} s"
    return {"polls": count, "worker_us": 1e6 * ours_s / count, "database_us": 1e6 * took_s / count}


def _table(rows: list[Figures]) -> str:
    alone = {row["contender"]: _both_us(row) for row in measured(rows) if row["gaps"] == 0}
    heads = ("database", "gaps", "polls", "worker", "database", f"at {DEFAULT_S:g} s", "of no gap")
    lines = [
        (
            row["contender"],
            row["gaps"],
            f"{row['polls']:,.0f}",
            figure(row["worker_us"], "µs"),
            figure(row["database_us"], "µs"),
            f"{100 * _both_us(row) / 1e6 / DEFAULT_S:.2f} %",
            ratio(_both_us(row), alone.get(row["contender"])),
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


def _both_us(row: Figures) -> float:
    return float(row["worker_us"] + row["database_us"])


CASE = Case(name="poll", title="Cost of a poll", method=METHOD, run=run, table=_table)
