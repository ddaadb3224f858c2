"""Queries at the database against the number of streams."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, Plot, steadily
from benchmarks.contenders import OURS, Rowcast
from benchmarks.load import Load
from benchmarks.plan import FULL
from benchmarks.tables import TITLES, left_out, measured, ratio, table, title
from tests.harness.postgres import Postgres

ROWS_PER_S = 1

METHOD = f"""
The SELECTs that PostgreSQL logged in {FULL.query_s:g} s from one worker, at its default poll
interval of 0.5 s, with {ROWS_PER_S} row a second.
"""


def run(bench: Bench) -> Iterator[Figures]:
    with Postgres() as postgres:
        names = tuple(name for name in OURS if name in bench.plan.contenders)
        yield from bench.guarded(names, lambda name: _counts(bench, postgres, name))


def _counts(bench: Bench, postgres: Postgres, name: str) -> Iterator[Figures]:
    url = postgres.create_database()
    with (
        bench.folder() as folder,
        Rowcast(folder, fanout=name == "fanout", database_url=url) as server,
        Load(server.url) as load,
    ):
        for streams in bench.plan.query_streams:
            bench.say(f"{server.name}, {streams:,} streams")
            load.open(streams - load.streams)
            began = time.monotonic()
            with postgres.count_statements(url) as count:
                steadily(server.publish, ROWS_PER_S, bench.plan.query_s)
            per_s = len(count.queries) / (time.monotonic() - began)
            yield {"streams": streams, "per_s": per_s}


def _table(rows: list[Figures]) -> str:
    base = {row["contender"]: row["per_s"] for row in reversed(measured(rows))}
    lines = [
        (
            title(row),
            f"{row['streams']:,}",
            f"{row['per_s']:.2f}",
            ratio(row["per_s"], base[row["contender"]]),
        )
        for row in measured(rows)
    ]
    return table(("", "streams", "queries/s", "of the first"), lines) + "\n" + left_out(rows)


def _plots(rows: list[Figures]) -> list[Plot]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in measured(rows):
        points = lines.setdefault(TITLES[row["contender"]], [])
        points.append((row["streams"], row["per_s"]))
    return [Plot("queries", "Queries at the database", "streams", "queries/s", lines, log=False)]


CASE = Case(
    name="queries",
    title="Database queries against streams",
    method=METHOD,
    run=run,
    count=lambda plan: len(plan.query_streams) * len(set(OURS) & set(plan.contenders)),
    table=_table,
    plots=_plots,
)
