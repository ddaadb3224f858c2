"""One row to many streams: CPU of a delivery and of a connect, memory of a stream, latency."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, Plot, open_streams
from benchmarks.contenders import Contender
from benchmarks.load import Load
from benchmarks.machine import urgent
from benchmarks.measure import cpu_s, pss_bytes
from benchmarks.plan import FULL
from benchmarks.tables import TITLES, left_out, measured, number, ratio, table, title

BETWEEN_ROWS_S = (0.5, 0.7)  # more than a poll interval apart, and not in step with the polls
ROUND_S = 20.0  # until all have a row
WARM_STREAMS = 20  # opened before the memory of none is taken: what every first stream loads
MEMORY_FROM = 1_000  # streams: with fewer, noise of the process is as large as they are

METHOD = f"""
One row at a time, {BETWEEN_ROWS_S[0]} to {BETWEEN_ROWS_S[1]} s apart at random, until all have
it, for {FULL.one_row_s:g} s. **CPU** is that of all processes of the server divided by the
deliveries; nothing is subtracted, so at few streams it is mostly the polls. **Idle** is CPU
without rows, in % of a core. **Latency** is from the insert (publish) to the receipt, for Rowcast
at its default poll interval of 0.5 s, which is nearly all of it; **spread** is from the first to
the last stream that gets a row, the median of all rows. **Memory** is what the PSS of all
processes grew by, for each stream. **Connect** is CPU from the connect to the first bytes
(flask-sse, which sends none: until it is subscribed). **Client** is the load client's CPU for a
delivery, and how much of the time it was idle.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.each(bench.plan.contenders, lambda server: _sizes(bench, server))


def _sizes(bench: Bench, server: Contender) -> Iterator[Figures]:
    with Load(server.url) as load:
        open_streams(server, load, min(WARM_STREAMS, bench.plan.streams[0]))
        base, before = pss_bytes(server.pids()), load.streams
        for streams in bench.plan.streams:
            if streams > server.most_streams():
                files = server.descriptors_a_stream * streams
                reason = f"{streams:,} streams need {files:,} open files, `ulimit -n` allows fewer"
                yield {"missing": reason}
                return
            bench.say(f"{server.name}, {streams:,} streams")
            cpu_before, fresh = cpu_s(server.pids()), streams - load.streams
            took_s = open_streams(server, load, fresh) if fresh else 0.0
            connect_us = 1e6 * (cpu_s(server.pids()) - cpu_before) / max(1, fresh)
            idle = _idle(server, bench.plan.idle_s)
            memory = (pss_bytes(server.pids()) - base) / max(1, streams - before)
            yield {
                "streams": streams,
                "connect_us": connect_us,
                "connect_s": took_s,
                "idle_percent": idle,
                "memory_bytes": memory,
                **_rounds(server, load, bench.plan.one_row_s),
            }


def _idle(server: Contender, for_s: float) -> float:
    before, began = cpu_s(server.pids()), time.monotonic()
    time.sleep(for_s)
    return 100 * (cpu_s(server.pids()) - before) / (time.monotonic() - began)


def _rounds(server: Contender, load: Load, for_s: float) -> Figures:
    load.mark()
    rows, pids = 0, server.pids()
    before, until_s = cpu_s(pids), time.monotonic() + for_s
    with urgent():
        while time.monotonic() < until_s:
            server.publish()
            rows += 1
            pause_until_s = time.monotonic() + random.uniform(*BETWEEN_ROWS_S)
            have = load.wait_rows(rows * load.streams, ROUND_S)
            assert have == rows * load.streams, f"{have} of {rows * load.streams} after {ROUND_S} s"
            time.sleep(max(0.0, pause_until_s - time.monotonic()))
    cpu = cpu_s(pids) - before
    got = load.report()
    return {
        "rows": rows,
        "deliveries": got.rows,
        "cpu_us": 1e6 * cpu / got.rows,
        "p50_ms": got.p50_ms,
        "p99_ms": got.p99_ms,
        "max_ms": got.max_ms,
        "spread_ms": got.spread_ms,
        "bytes": got.bytes / got.rows,
        "client_us": 1e6 * got.cpu_s / got.rows,
        "client_idle": got.idle,
    }


# -- shown ----------------------------------------------------------------------------------------

HEADS = (
    "streams", "CPU a delivery", "of the floor", "of nchan", "p50", "p99", "max", "spread", "idle",
    "memory a stream", "connect", "client", "bytes",
)  # fmt: skip


def _table(rows: list[Figures]) -> str:
    parts = []
    for streams in sorted({row["streams"] for row in measured(rows)}):
        same = [row for row in measured(rows) if row["streams"] == streams]
        cpu = {row["contender"]: row["cpu_us"] for row in same}
        lines = [_line(row, cpu.get("floor"), cpu.get("nchan")) for row in same]
        parts.append(table((f"{streams:,} streams", *HEADS[1:]), lines))
    return "\n\n".join(parts) + "\n" + left_out(rows)


def _line(row: Figures, floor: float | None, nchan: float | None) -> list[str]:
    big = row["streams"] >= MEMORY_FROM
    return [
        title(row),
        f"{number(row['cpu_us'])} µs",
        ratio(row["cpu_us"], floor),
        ratio(row["cpu_us"], nchan),
        *(f"{number(row[name])} ms" for name in ("p50_ms", "p99_ms", "max_ms", "spread_ms")),
        f"{row['idle_percent']:.1f} %",
        f"{row['memory_bytes'] / 1024:.1f} KB" if big else "–",
        f"{number(row['connect_us'])} µs",
        f"{row['client_us']:.1f} µs, {100 * row['client_idle']:.0f} % idle",
        f"{row['bytes']:.0f}",
    ]


def _plots(rows: list[Figures]) -> list[Plot]:
    def lines(figure: str, least: int = 0, unit: float = 1) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {}
        for row in measured(rows):
            if row["streams"] >= least:
                points = found.setdefault(TITLES[row["contender"]], [])
                points.append((row["streams"], row[figure] / unit))
        return found

    return [
        Plot("one-row-cpu", "CPU of one delivery", "streams", "µs", lines("cpu_us")),
        Plot("one-row-memory", "Memory of a stream", "streams", "KB",
             lines("memory_bytes", MEMORY_FROM, 1024)),
        Plot("one-row-spread", "From the first to the last stream that gets a row", "streams", "ms",
             lines("spread_ms")),
    ]  # fmt: skip


CASE = Case(
    name="one-row",
    title="One row to many streams",
    method=METHOD,
    run=run,
    count=lambda plan: len(plan.contenders) * len(plan.streams),
    table=_table,
    plots=_plots,
)
