"""Posts, the page and the health check while many streams get many rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, steadily
from benchmarks.contenders import OURS, Rowcast
from benchmarks.load import Load
from benchmarks.machine import urgent
from benchmarks.measure import quantile
from benchmarks.plan import FULL
from benchmarks.tables import TITLES, left_out, measured, number, table
from tests.harness.http import post_json, request

PAUSE_S = 0.03  # between two requests
QUIET_S = 3.0  # at most, before there are streams
KINDS = ("GET /healthz", "GET /", "POST /posts")

METHOD = f"""
Requests in turn, each on a connection of its own, {1000 * PAUSE_S:g} ms apart: first without
streams, then while {FULL.page_streams:,} streams get {FULL.page_rows_per_s} rows a second for
{FULL.page_s:g} s. The process that asks goes before the load client on their core.
"""


def run(bench: Bench) -> Iterator[Figures]:
    names = tuple(name for name in OURS if name in bench.plan.contenders)
    return bench.guarded(names, lambda name: _loaded(bench, name))


def _loaded(bench: Bench, name: str) -> Iterator[Figures]:
    plan = bench.plan
    with (
        bench.folder() as folder,
        Rowcast(folder, fanout=name == "fanout") as server,
        Load(server.url, 50) as load,
    ):
        quiet = Visitor(server)
        quiet.visit(min(QUIET_S, plan.page_s))
        load.open(plan.page_streams)
        load.mark()
        busy = Visitor(server)
        thread = threading.Thread(target=busy.visit, args=(plan.page_s,))
        thread.start()
        steadily(server.publish, plan.page_rows_per_s, plan.page_s)
        thread.join(2 * plan.page_s + 60)
        got = load.report()
        assert not busy.failed, f"requests failed: {busy.failed}"
        for kind in KINDS:
            yield {
                "kind": kind,
                "requests": len(busy.took_ms[kind]),
                "quiet_ms": quantile(quiet.took_ms[kind], 0.5),
                "p50_ms": quantile(busy.took_ms[kind], 0.5),
                "p99_ms": quantile(busy.took_ms[kind], 0.99),
                "max_ms": max(busy.took_ms[kind]),
                "streams": load.streams,
                "rows_p99_ms": got.p99_ms,
            }


class Visitor:
    """Asks for one thing after another, and keeps how long each took."""

    def __init__(self, server: Rowcast) -> None:
        self._url = server.server.url
        self.took_ms: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.failed: list[str] = []

    def visit(self, for_s: float) -> None:
        until_s = time.monotonic() + for_s
        with urgent():
            while time.monotonic() < until_s:
                for kind in KINDS:
                    began = time.monotonic()
                    self._ask(kind)
                    self.took_ms[kind].append(1000 * (time.monotonic() - began))
                    time.sleep(PAUSE_S)

    def _ask(self, kind: str) -> None:
        method, path = kind.split(" ")
        try:
            if method == "POST":
                status = post_json(self._url + path, {"author": "bench", "body": "hello"}).status
            else:
                status = request(self._url + path).status
            if status not in (200, 201):
                self.failed.append(f"{kind}: {status}")
        except OSError as error:
            self.failed.append(f"{kind}: {error}")


def _table(rows: list[Figures]) -> str:
    heads = ("", "requests", "without streams, p50", "p50", "p99", "max")
    lines = [
        (
            f"{TITLES[row['contender']]}: `{row['kind']}`",
            row["requests"],
            *(f"{number(row[name])} ms" for name in ("quiet_ms", "p50_ms", "p99_ms", "max_ms")),
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(
    name="pages",
    title="Pages while rows flow",
    method=METHOD,
    run=run,
    count=lambda plan: len(KINDS) * len(set(OURS) & set(plan.contenders)),
    table=_table,
)
