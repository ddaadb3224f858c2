"""A reconnect storm: all streams lose their worker, and come back to another one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

from benchmarks.case import Bench, Case, Figures, steadily
from benchmarks.contenders import OURS, Rowcast
from benchmarks.load import Load
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, ratio, table, title
from tests.harness.postgres import Postgres

ROWS_PER_S = 2
BACK_S = 60.0  # until the last stream is back, and has all rows
WORKERS = 2
FEW_STREAMS = 10  # no storm: what a worker that starts asks the database for by itself

METHOD = f"""
{FULL.storm_streams:,} streams on two workers that poll PostgreSQL, {ROWS_PER_S} rows a second.
**Reload**: HUP, all streams are told when to come back. **Killed**: `kill -9` of the worker with
most streams, which are told nothing and come back after the `retry` they were given at first.
**Queries** are the SELECTs that PostgreSQL logged, of all workers, those of a new one that starts
among them, in {FULL.storm_s:g} s before and in as long from the signal on. **Away** is the
longest time from the end of a stream until it was open again. **Rows** are what the streams got
of those inserted from the beginning to after the storm, exactly once. With {FEW_STREAMS} streams
there is no storm: that is what a worker's start costs.
"""


def run(bench: Bench) -> Iterator[Figures]:
    with Postgres() as postgres:
        names = tuple(name for name in OURS if name in bench.plan.contenders)
        yield from bench.guarded(names, lambda name: _storms(bench, postgres, name))


def _storms(bench: Bench, postgres: Postgres, name: str) -> Iterator[Figures]:
    url = postgres.create_database()
    with (
        bench.folder() as folder,
        Rowcast(folder, fanout=name == "fanout", database_url=url, workers=WORKERS) as server,
        Load(server.url) as load,
    ):
        for streams in (FEW_STREAMS, bench.plan.storm_streams):
            load.open(streams - load.streams, "exact")
            for kind, signalled in (("reload", _reload), ("killed", _kill)):
                bench.say(f"{server.name}, {streams:,} streams, {kind}")
                yield {"kind": kind, **_storm(bench, postgres, server, load, signalled)}


def _storm(
    bench: Bench,
    postgres: Postgres,
    server: Rowcast,
    load: Load,
    signalled: Callable[[Rowcast], None],
) -> Figures:
    rows = 0

    def send(count: int) -> None:
        nonlocal rows
        server.publish(count)
        rows += count

    def queries_per_s(begin: Callable[[], None] = lambda: None) -> float:
        began = time.monotonic()
        with postgres.count_statements(server.database_url) as count:
            begin()
            steadily(send, ROWS_PER_S, bench.plan.storm_s)
        return len(count.queries) / (time.monotonic() - began)

    load.mark()
    before = queries_per_s()
    during = queries_per_s(lambda: signalled(server))
    open_again = load.wait_open(BACK_S)
    least = load.wait_each(rows, BACK_S)
    got = load.report()
    return {
        "streams": load.streams,
        "moved": got.lost,
        "open": open_again,
        "away_s": got.away_s,
        "before": before,
        "during": during,
        "rows": rows,
        "least": least,
        "most": got.most,
        "resets": got.resets,
    }


def _reload(server: Rowcast) -> None:
    assert server.server.child is not None
    server.server.child.signal(signal.SIGHUP)


def _kill(server: Rowcast) -> None:
    """Of the worker with most descriptors, hence streams."""
    import psutil

    pids = server.server.worker_pids()
    server.server.kill_worker(max(pids, key=lambda pid: psutil.Process(pid).num_fds()))


def _table(rows: list[Figures]) -> str:
    few = {(row["contender"], row["kind"]): row["during"] for row in reversed(measured(rows))}
    heads = (
        "", "storm", "streams moved", "back", "away at most", "queries/s before", "during",
        "of before", "of few streams", "rows of each stream",
    )  # fmt: skip
    lines = [
        (
            title(row),
            row["kind"],
            f"{row['moved']:,} of {row['streams']:,}",
            f"{row['open']:,}",
            f"{row['away_s']:.1f} s",
            f"{row['before']:.1f}",
            f"{row['during']:.1f}",
            ratio(row["during"], row["before"]),
            ratio(row["during"], few[row["contender"], row["kind"]]),
            f"{row['least']}–{row['most']} of {row['rows']}",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(
    name="storm",
    title="Reconnect storm",
    method=METHOD,
    run=run,
    count=lambda plan: 4 * len(set(OURS) & set(plan.contenders)),
    table=_table,
)
