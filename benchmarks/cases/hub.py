"""How long a batch to many streams keeps a worker from serving anybody else."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures
from benchmarks.contenders import OURS, Rowcast
from benchmarks.load import Load
from benchmarks.measure import quantile
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, number, table, title

PAUSE_S = 0.8  # between batches, and before the first: longer than a poll interval
BATCH_S = 60.0  # until all have it

METHOD = f"""
A greenlet in the worker ticks every 5 ms; how late a tick comes is how long the hub was blocked.
{FULL.hub_streams:,} streams get {FULL.hub_batches} batches of a row and as many of
{FULL.hub_batch_rows[-1]} rows, each in one transaction. **Longest** is the longest gap of all,
**p90** that of the quarters of a second, among them quiet ones; **CPU** is the most that the
worker itself took between two ticks, whoever else was on its core.
"""


def run(bench: Bench) -> Iterator[Figures]:
    names = tuple(name for name in OURS if name in bench.plan.contenders)
    return bench.guarded(names, lambda name: _gaps(bench, name))


def _gaps(bench: Bench, name: str) -> Iterator[Figures]:
    plan = bench.plan
    with (
        bench.folder() as folder,
        Rowcast(folder, fanout=name == "fanout", ticking=True) as server,
        Load(server.url) as load,
    ):
        load.open(plan.hub_streams)
        for rows in (0, *plan.hub_batch_rows):
            bench.say(f"{server.name}, batches of {rows}")
            time.sleep(PAUSE_S)
            since_s = time.monotonic()
            for _ in range(plan.hub_batches):
                load.mark()
                if rows:
                    server.publish(rows)
                    have = load.wait_rows(rows * load.streams, BATCH_S)
                    assert have == rows * load.streams, f"{have} rows after {BATCH_S} s"
                time.sleep(PAUSE_S)
            gaps, cpu = zip(*server.gaps_ms(since_s), strict=True)
            yield {
                "streams": load.streams,
                "batch_rows": rows,
                "longest_ms": max(gaps),
                "p90_ms": quantile(list(gaps), 0.9),
                "cpu_ms": max(cpu),
            }


def _table(rows: list[Figures]) -> str:
    lines = [
        (
            title(row),
            f"{row['streams']:,}",
            row["batch_rows"] or "none",
            f"{number(row['longest_ms'])} ms",
            f"{number(row['p90_ms'])} ms",
            f"{number(row['cpu_ms'])} ms",
        )
        for row in measured(rows)
    ]
    return (
        table(("", "streams", "rows in a batch", "longest", "p90", "CPU"), lines)
        + "\n"
        + left_out(rows)
    )


CASE = Case(
    name="hub",
    title="How long the hub is blocked",
    method=METHOD,
    run=run,
    count=lambda plan: (1 + len(plan.hub_batch_rows)) * len(set(OURS) & set(plan.contenders)),
    table=_table,
)
