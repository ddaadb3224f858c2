"""Streams on which nothing happens: what they weigh, and what their heartbeats cost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, open_streams
from benchmarks.contenders import Contender
from benchmarks.load import Load
from benchmarks.measure import cpu_s, pss_bytes
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, number, table, title

NAMES = ("fanout", "generator", "nchan")  # those with a heartbeat that is not a task a stream
WARM_STREAMS = 20
ALONE_S = 5.0  # at most, with these few streams: what polls cost

METHOD = f"""
{FULL.heartbeat_streams:,} streams and no rows for {FULL.heartbeat_s:g} s with default settings,
that is heartbeats every 15 s (nchan: told so), one worker. **Alone** is CPU with {WARM_STREAMS}
streams, hence the polls; **CPU** is with all of them; **heartbeats** are the reads of the load
client for each stream.
"""


def run(bench: Bench) -> Iterator[Figures]:
    names = tuple(name for name in NAMES if name in bench.plan.contenders)
    return bench.each(names, lambda server: _idle(bench, server))


def _idle(bench: Bench, server: Contender) -> Iterator[Figures]:
    plan = bench.plan
    with Load(server.url) as load:
        open_streams(server, load, min(WARM_STREAMS, plan.heartbeat_streams // 2))
        base, few = pss_bytes(server.pids()), load.streams
        alone = _percent(server, min(ALONE_S, plan.heartbeat_s))
        open_streams(server, load, plan.heartbeat_streams - few)
        load.mark()
        percent = _percent(server, plan.heartbeat_s)
        memory = (pss_bytes(server.pids()) - base) / (load.streams - few)
        got = load.report()
        assert got.open == load.streams, f"{got.open} of {load.streams} streams are open"
        yield {
            "streams": load.streams,
            "memory_bytes": memory,
            "alone_percent": alone,
            "cpu_percent": percent,
            "heartbeats": got.reads / load.streams,
        }


def _percent(server: Contender, for_s: float) -> float:
    before, began = cpu_s(server.pids()), time.monotonic()
    time.sleep(for_s)
    return 100 * (cpu_s(server.pids()) - before) / (time.monotonic() - began)


def _table(rows: list[Figures]) -> str:
    heads = ("", "streams", "memory a stream", "alone", "CPU", "for the streams", "heartbeats")
    lines = [
        (
            title(row),
            f"{row['streams']:,}",
            f"{number(row['memory_bytes'] / 1024)} KB",
            f"{row['alone_percent']:.2f} %",
            f"{row['cpu_percent']:.2f} %",
            f"{row['cpu_percent'] - row['alone_percent']:.2f} %",
            f"{row['heartbeats']:.2f}",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(
    name="idle",
    title="Idle streams",
    method=METHOD,
    run=run,
    count=lambda plan: len(set(NAMES) & set(plan.contenders)),
    table=_table,
)
