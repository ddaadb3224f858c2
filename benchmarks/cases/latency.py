"""From an insert by another process to its receipt: now and then, and in a steady flow."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.case import Bench, Case, Figures, folder, steadily
from benchmarks.contenders import Contender, Rowcast
from benchmarks.contenders.fed import EVERY_S, TELL, Notified, PolledNchan
from benchmarks.load import Load
from benchmarks.machine import urgent
from benchmarks.measure import cpu_s, quantile
from benchmarks.plan import FULL
from benchmarks.tables import figure, left_out, measured, ratio, table
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.server import DatabaseServer

BETWEEN_ROWS_S = (0.2, 0.4)  # not in step with the polls
ROUND_S = 60.0  # until every stream has a row
SETTLE_S = 2.0  # after the start, and after the streams were opened
LISTEN_APP = "LISTEN/NOTIFY in twenty lines"

METHOD = f"""
Another process inserts rows, each in a transaction of its own, and {FULL.latency_streams:,} streams
get them: **idle**, one row every {BETWEEN_ROWS_S[0]:g} to {BETWEEN_ROWS_S[1]:g} s at random, for
{FULL.latency_s:g} s; **busy**, {FULL.latency_rows_per_s} rows a second for {FULL.latency_busy_s:g}
s. Latency is from just before the insert to the receipt, so the **commit** is in it: what the
insert with its commit took by itself, the median while idle. Rowcast has its default settings; with
LISTEN a trigger sends a NOTIFY for each statement. **nchan** is fed by a script of twenty lines,
which asks for what is above the last id every {EVERY_S:g} s and posts it. **{LISTEN_APP}** is an
SSE application with a queue per stream, and a trigger that sends each row. Both miss rows where
Rowcast does not: what commits late, and what comes while a connection is lost. **Idle CPU** is that
of all processes of the server with one stream and no rows, in % of a core, for
{FULL.latency_quiet_s:g} s. **Of LISTEN/NOTIFY** compares the idle p50. The **load** of the machine,
by the kernel's count of what runs or waits, is that of the end of the measurement.
"""

Make = Callable[[Path, str], Contender]


def _rowcast(folder: Path, url: str) -> Contender:
    return Rowcast(folder, database_url=url)


class Listening(Rowcast):
    """With LISTEN, and a trigger on the table that the wall has made."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, database_url=url, env={"ROWCAST_LISTEN": "posts"})

    def start(self) -> None:
        super().start()
        for statement in TELL:
            sql.execute(self.database_url, statement)


SERVERS: dict[str, tuple[Make, Callable[[], DatabaseServer] | None]] = {
    "**Rowcast**, SQLite": (_rowcast, None),
    "**Rowcast**, PostgreSQL": (_rowcast, Postgres),
    "**Rowcast**, PostgreSQL with LISTEN": (Listening, Postgres),
    "**Rowcast**, MariaDB": (_rowcast, MariaDB),
    "nchan, fed by a script that polls PostgreSQL": (PolledNchan, Postgres),
    LISTEN_APP: (Notified, Postgres),
}


def run(bench: Bench) -> Iterator[Figures]:
    return bench.guarded(tuple(SERVERS), lambda name: _latency(bench, *SERVERS[name]))


def _latency(
    bench: Bench, make: Make, database: Callable[[], DatabaseServer] | None
) -> Iterator[Figures]:
    with ExitStack() as stack:
        url = stack.enter_context(database()).create_database() if database else ""
        server = stack.enter_context(make(stack.enter_context(folder()), url))
        load = stack.enter_context(Load(server.url))
        load.open(1)
        time.sleep(SETTLE_S)
        before, began = cpu_s(server.pids()), time.monotonic()
        time.sleep(bench.plan.latency_quiet_s)
        cpu = (cpu_s(server.pids()) - before) / (time.monotonic() - began)
        load.open(bench.plan.latency_streams - 1)
        time.sleep(SETTLE_S)
        idle = _idle(server, load, bench.plan.latency_s)
        busy = _busy(server, load, bench.plan.latency_rows_per_s, bench.plan.latency_busy_s)
        yield {"idle_cpu": cpu, **idle, **busy, "load": os.getloadavg()[0]}


def _idle(server: Contender, load: Load, for_s: float) -> Figures:
    """One row at a time, each after all streams have the one before."""
    load.mark()
    rows, commits_ms, until_s = 0, list[float](), time.monotonic() + for_s
    with urgent():
        while not rows or time.monotonic() < until_s:
            rows += 1
            began = time.monotonic()
            server.publish()
            commits_ms.append(1000 * (time.monotonic() - began))
            wanted = rows * load.streams
            have = load.wait_rows(wanted, ROUND_S)
            assert have == wanted, f"{have} of {wanted} deliveries after {ROUND_S} s"
            time.sleep(random.uniform(*BETWEEN_ROWS_S))
    got = load.report()
    commit_ms = quantile(commits_ms, 0.5)
    return {"rows": rows, "p50_ms": got.p50_ms, "p99_ms": got.p99_ms, "commit_ms": commit_ms}


def _busy(server: Contender, load: Load, per_s: int, for_s: float) -> Figures:
    """A steady flow, each row by itself."""
    load.mark()
    sent = 0

    def send(rows: int) -> None:
        nonlocal sent
        for _ in range(rows):
            server.publish()
        sent += rows

    steadily(send, per_s, for_s)
    have = load.wait_each(sent, ROUND_S)
    assert have == sent, f"{have} of {sent} rows after {ROUND_S} s"
    got = load.report()
    return {"busy_p50_ms": got.p50_ms, "busy_p99_ms": got.p99_ms, "busy_rows": sent}


def _table(rows: list[Figures]) -> str:
    listen = [row["p50_ms"] for row in measured(rows) if row["contender"] == LISTEN_APP]
    heads = (
        *("server", "idle p50", "p99", "busy p50", "p99", "commit", "idle CPU"),
        *("of LISTEN/NOTIFY", "load"),
    )
    lines = [
        (
            row["contender"],
            figure(row["p50_ms"], "ms"),
            figure(row["p99_ms"], "ms"),
            figure(row["busy_p50_ms"], "ms"),
            figure(row["busy_p99_ms"], "ms"),
            figure(row["commit_ms"], "ms"),
            f"{100 * row['idle_cpu']:.2f} %",
            ratio(row["p50_ms"], listen[0] if listen else None),
            f"{row['load']:.1f}",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(name="latency", title="From commit to receipt", method=METHOD, run=run, table=_table)
