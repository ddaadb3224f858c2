"""A burst: more rows a second than anybody sends one by one to so many streams."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, Plot, open_streams, steadily
from benchmarks.contenders import OURS, Contender
from benchmarks.load import Load
from benchmarks.measure import cpu_s
from benchmarks.plan import FULL
from benchmarks.tables import TITLES, left_out, measured, number, ratio, table, title

SAMPLED_STREAMS = 40  # whose times are read: that many times each row

METHOD = f"""
{FULL.burst_rows_per_s:,} rows a second to {FULL.burst_streams:,} streams: for {FULL.burst_s:g} s
to Rowcast, for {FULL.burst_others_s:g} s to the others, who cannot keep up. For them only the
rate counts: their publisher waits for the server's answer, so **rows/s** says what they took.
What has not arrived {FULL.settle_s:g} s after the last row counts as **missing**. Rowcast reads
from SQLite at its default poll interval of 0.5 s, which is where its latency comes from.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.each(bench.plan.contenders, lambda server: _burst(bench, server))


def _burst(bench: Bench, server: Contender) -> Iterator[Figures]:
    plan, rows = bench.plan, 0
    with Load(server.url, SAMPLED_STREAMS) as load:
        open_streams(server, load, plan.burst_streams)

        def send(count: int) -> None:
            nonlocal rows
            server.publish(count)
            rows += count

        load.mark()
        pids, began = server.pids(), time.monotonic()
        before = cpu_s(pids)
        for_s = plan.burst_s if bench.current in OURS else plan.burst_others_s
        took_s = steadily(send, plan.burst_rows_per_s, for_s)
        load.wait_each(rows, plan.settle_s)
        cpu, all_s = cpu_s(pids) - before, time.monotonic() - began
        got = load.report()
        yield {
            "rows_per_s": rows / took_s,
            "deliveries": got.rows,
            "undelivered": rows * load.streams - got.rows,
            "streams_lost": got.lost,
            "per_cpu_s": got.rows / cpu,
            "cpu_percent": 100 * cpu / all_s,
            "p50_ms": got.p50_ms,
            "p99_ms": got.p99_ms,
            "max_ms": got.max_ms,
            "client_idle": got.idle,
        }


def _table(rows: list[Figures]) -> str:
    per_cpu_s = {row["contender"]: row["per_cpu_s"] for row in measured(rows)}
    heads = ("", "deliveries a CPU second", "of nchan", "rows/s", "missing", "p50", "p99", "max",
             "server", "client idle")  # fmt: skip
    lines = [
        (
            title(row),
            f"{row['per_cpu_s'] / 1e6:.3f} million",
            ratio(row["per_cpu_s"], per_cpu_s.get("nchan")),
            f"{row['rows_per_s']:,.0f}",
            f"{row['undelivered']:,} of {row['deliveries'] + row['undelivered']:,}",
            *(f"{number(row[name])} ms" for name in ("p50_ms", "p99_ms", "max_ms")),
            f"{row['cpu_percent']:.0f} % of a core",
            f"{100 * row['client_idle']:.0f} %",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


def _plots(rows: list[Figures]) -> list[Plot]:
    bars = {TITLES[row["contender"]]: [(0.0, row["per_cpu_s"] / 1e6)] for row in measured(rows)}
    return [Plot("burst", "Burst: deliveries a CPU second", "", "million", bars)]


CASE = Case(
    name="burst",
    title="Burst",
    method=METHOD,
    run=run,
    count=lambda plan: len(plan.contenders),
    table=_table,
    plots=_plots,
)
