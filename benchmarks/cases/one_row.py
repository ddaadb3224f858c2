"""One row to many streams: CPU of a delivery and of a connect, memory of a stream, latency."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from benchmarks.case import Bench, Case, Figures
from benchmarks.contenders import Contender, Rowcast
from benchmarks.load import Load
from benchmarks.machine import most_streams, urgent
from benchmarks.measure import cpu_s, pss_bytes
from benchmarks.plan import FULL
from benchmarks.plot import Plot
from benchmarks.tables import TITLES, figure, left_out, measured, ratio, table, title
from tests.harness.http import request

BETWEEN_ROWS_S = (0.5, 0.7)  # more than a poll interval apart, and not in step with the polls
ROUND_S = 20.0  # until every stream has a row
BETWEEN_PAGES_S = 0.005
WARM_STREAMS = 20  # opened before memory is first read: what the first stream loads is no stream's
MEMORY_FROM = 1_000  # streams: with fewer, the noise of the process is as large as they are

METHOD = f"""
One row at a time for {FULL.one_row_s:g} s, {BETWEEN_ROWS_S[0]} to {BETWEEN_ROWS_S[1]} s apart at
random, each sent after every stream has the one before. **CPU per delivery** is the CPU of all
processes of the server divided by the deliveries. Nothing is subtracted, so with few streams it is
mostly the polls. **Latency** (p50, p99) is from the insert (or publish) to the receipt. **Spread**
is from the first to the last stream that gets a row, the median of all rows. **Memory** is the
growth of PSS since the first {WARM_STREAMS} streams, divided by the streams opened since then. For
Rowcast some 3 MB of it is growth of the process itself, which weighs less with more streams.
**Connect** is CPU from the connect to the first bytes. **Page** is the slowest of the health checks
that are sent every {1000 * BETWEEN_PAGES_S:g} ms while {FULL.pages_rows} more rows go out: so long
does a row keep the worker from other requests. **Client idle** is the share of time in which the
load client had nothing to do.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.each(lambda server: _sizes(bench, server))


def _sizes(bench: Bench, server: Contender) -> Iterator[Figures]:
    with Load(server.url) as load:
        load.open(min(WARM_STREAMS, bench.plan.streams[0]))
        base, warm = pss_bytes(server.pids()), load.streams
        for streams in bench.plan.streams:
            if streams > most_streams():
                yield {"missing": f"`ulimit -n` is too low for {streams:,} streams"}
                return
            bench.say(f"{server.title}, {streams:,} streams")
            before, fresh = cpu_s(server.pids()), streams - load.streams
            if fresh:
                load.open(fresh)
            yield {
                "streams": streams,
                "connect_us": 1e6 * (cpu_s(server.pids()) - before) / max(1, fresh),
                "memory_bytes": (pss_bytes(server.pids()) - base) / max(1, streams - warm),
                **rounds(server, load, for_s=bench.plan.one_row_s),
                "page_ms": _page_ms(server, load, bench.plan.pages_rows),
            }


def rounds(server: Contender, load: Load, *, for_s: float = 0, least: int = 1) -> Figures:
    """Rows one by one for so long, and at least so many: their latency and what they cost."""
    load.mark()
    rows, pids = 0, server.pids()
    before, until_s = cpu_s(pids), time.monotonic() + for_s
    with urgent():
        while rows < least or time.monotonic() < until_s:
            rows += 1
            _one_row(server, load, rows)
    cpu, got = cpu_s(pids) - before, load.report()
    return {
        "deliveries": got.rows,
        "cpu_us": 1e6 * cpu / got.rows,
        "p50_ms": got.p50_ms,
        "p99_ms": got.p99_ms,
        "spread_ms": got.spread_ms,
        "client_idle": got.idle,
    }


def _one_row(server: Contender, load: Load, number: int) -> None:
    """Row `number` since the mark: sent, received by every stream, and a pause."""
    server.publish()
    pause_until_s = time.monotonic() + random.uniform(*BETWEEN_ROWS_S)
    wanted = number * load.streams
    have = load.wait_rows(wanted, ROUND_S)
    assert have == wanted, f"{have} of {wanted} deliveries after {ROUND_S} s"
    time.sleep(max(0.0, pause_until_s - time.monotonic()))


def _page_ms(server: Contender, load: Load, rows: int) -> float | None:
    """The longest health check while rows go out; None for a server that has none."""
    if not isinstance(server, Rowcast):
        return None
    done, took_ms = Event(), []

    def visit() -> None:
        with urgent():
            while not done.wait(BETWEEN_PAGES_S):
                began = time.monotonic()
                assert request(server.health_url).status == 200, "a health check failed"
                took_ms.append(1000 * (time.monotonic() - began))

    load.mark()
    with ThreadPoolExecutor(1) as pool:
        visitor = pool.submit(visit)
        try:
            for number in range(rows):
                _one_row(server, load, number + 1)
        finally:
            done.set()
        visitor.result()
    return max(took_ms)


# -- shown ----------------------------------------------------------------------------------------

HEADS = ("CPU per delivery", "of the floor", "of nchan", "p50", "p99", "spread",
         "memory per stream", "connect", "page", "client idle")  # fmt: skip


def _table(rows: list[Figures]) -> str:
    parts = []
    for streams in sorted({row["streams"] for row in measured(rows)}):
        same = [row for row in measured(rows) if row["streams"] == streams]
        cpu = {row["contender"]: row["cpu_us"] for row in same}
        lines = [_line(row, cpu.get("floor"), cpu.get("nchan")) for row in same]
        parts.append(table((f"{streams:,} streams", *HEADS), lines))
    return "\n\n".join(parts) + "\n" + left_out(rows)


def _line(row: Figures, floor: float | None, nchan: float | None) -> list[str]:
    big = row["streams"] >= MEMORY_FROM
    return [
        title(row),
        figure(row["cpu_us"], "µs"),
        ratio(row["cpu_us"], floor),
        ratio(row["cpu_us"], nchan),
        *(figure(row[name], "ms") for name in ("p50_ms", "p99_ms", "spread_ms")),
        figure(row["memory_bytes"] / 1024 if big else None, "KB"),
        figure(row["connect_us"], "µs"),
        figure(row["page_ms"], "ms"),
        f"{100 * row['client_idle']:.0f} %",
    ]


def _plots(rows: list[Figures]) -> list[Plot]:
    def lines(name: str, least: int = 0, unit: float = 1) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {}
        for row in measured(rows):
            if row["streams"] >= least and row[name] > 0:
                points = found.setdefault(TITLES[row["contender"]], [])
                points.append((row["streams"], row[name] / unit))
        return found

    return [
        Plot("one-row-cpu", "CPU per delivery", "streams", "µs", lines("cpu_us")),
        Plot("one-row-memory", "Memory per stream", "streams", "KB",
             lines("memory_bytes", MEMORY_FROM, 1024)),
    ]  # fmt: skip


CASE = Case(
    name="one-row",
    title="One row to many streams",
    method=METHOD,
    run=run,
    table=_table,
    plots=_plots,
)
