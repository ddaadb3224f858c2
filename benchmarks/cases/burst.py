"""A burst: more rows a second than could be sent one by one to so many streams."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, steadily
from benchmarks.contenders import Contender, Rowcast
from benchmarks.load import Load
from benchmarks.measure import cpu_s
from benchmarks.plan import FULL
from benchmarks.plot import Plot
from benchmarks.tables import TITLES, figure, left_out, measured, ratio, table, title

SAMPLED_STREAMS = 40  # whose times are read: that many times each row

METHOD = f"""
{FULL.burst_rows_per_s:,} rows a second to {FULL.burst_streams:,} streams: {FULL.burst_s:g} s to
Rowcast, {FULL.burst_others_s:g} s to the others, which cannot keep up. For them only the rate
counts: a publisher waits for the server's answer, so **rows/s** is what the server took. A delivery
that has not arrived {FULL.settle_s:g} s after the last row counts as **missing**. Rowcast notices
each write to the file and polls at most every 10 ms: fewer rows go out together than at a poll
interval, sooner, and for more CPU.
"""


def run(bench: Bench) -> Iterator[Figures]:
    def measure(server: Contender) -> Iterator[Figures]:
        plan = bench.plan
        with Load(server.url, SAMPLED_STREAMS) as load:
            load.open(plan.burst_streams)
            for_s = plan.burst_s if isinstance(server, Rowcast) else plan.burst_others_s
            yield flow(server, load, plan.burst_rows_per_s, for_s, plan.settle_s)

    return bench.each(measure)


def flow(server: Contender, load: Load, rows_per_s: int, for_s: float, settle_s: float) -> Figures:
    """Rows at this rate for so long, and what arrived of them."""
    rows = 0

    def send(count: int) -> None:
        nonlocal rows
        server.publish(count)
        rows += count

    load.mark()
    pids, began = server.pids(), time.monotonic()
    before = cpu_s(pids)
    took_s = steadily(send, rows_per_s, for_s)
    load.wait_each(rows, settle_s)
    cpu, all_s = cpu_s(pids) - before, time.monotonic() - began
    got = load.report()
    return {
        "rows_per_s": rows / took_s,
        "deliveries": got.rows,
        "undelivered": rows * load.streams - got.rows,
        "per_cpu_s": got.rows / cpu,
        "cpu_percent": 100 * cpu / all_s,
        "p50_ms": got.p50_ms,
        "p99_ms": got.p99_ms,
        "client_idle": got.idle,
    }


def _table(rows: list[Figures]) -> str:
    per_cpu_s = {row["contender"]: row["per_cpu_s"] for row in measured(rows)}
    heads = ("", "deliveries per CPU second", "of the floor", "of nchan", "rows/s", "missing",
             "p50", "p99", "server", "client idle")  # fmt: skip
    lines = [
        (
            title(row),
            f"{row['per_cpu_s'] / 1e6:.3f} million",
            ratio(row["per_cpu_s"], per_cpu_s.get("floor")),
            ratio(row["per_cpu_s"], per_cpu_s.get("nchan")),
            f"{row['rows_per_s']:,.0f}",
            f"{row['undelivered']:,} of {row['deliveries'] + row['undelivered']:,}",
            figure(row["p50_ms"], "ms"),
            figure(row["p99_ms"], "ms"),
            f"{row['cpu_percent']:.0f} % of a core",
            f"{100 * row['client_idle']:.0f} %",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


def _plots(rows: list[Figures]) -> list[Plot]:
    bars = {TITLES[row["contender"]]: [(0.0, row["per_cpu_s"] / 1e6)] for row in measured(rows)}
    return [Plot("burst", "Burst: deliveries per CPU second", "", "million", bars)]


CASE = Case(name="burst", title="Burst", method=METHOD, run=run, table=_table, plots=_plots)
