"""Slow clients beside normal ones: what the normal ones notice, and what memory it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, steadily
from benchmarks.contenders import OURS, Rowcast
from benchmarks.load import Got, Load
from benchmarks.measure import pss_bytes, tcp_bytes
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, ratio, table, title

CAUGHT_UP_S = 180.0  # until they have everything; those with a small buffer take it in small pieces
MEMORY_EVERY_S = 0.5
SAMPLED_STREAMS = 200

METHOD = f"""
{FULL.slow_normal:,} normal streams get {FULL.slow_rows_per_s} rows a second for {FULL.slow_s:g}
s. Then {FULL.slow_each} clients join that never read, and {FULL.slow_each} that read 1 KB/s, for
as long again (**with**), and on until the write deadline of {FULL.slow_deadline_s:g} s is over.
**PSS** is that of all processes, **TCP** the kernel's memory in all TCP buffers of the machine,
the load client's ends included; **most** while rows flow, **after** the deadline. At the end the
slow ones read all there is, and come back where they were dropped: **rows** are what each of them
got of those inserted since it joined.
"""


def run(bench: Bench) -> Iterator[Figures]:
    names = tuple(name for name in OURS if name in bench.plan.contenders)
    return bench.guarded(names, lambda name: _beside(bench, name))


class _Memory:
    """The most of PSS and of TCP memory, looked at now and then."""

    def __init__(self, server: Rowcast) -> None:
        self._server = server
        self._due_s = 0.0
        self.pss = self.tcp = 0

    def look(self) -> None:
        if time.monotonic() > self._due_s:
            self._due_s = time.monotonic() + MEMORY_EVERY_S
            self.pss = max(self.pss, pss_bytes(self._server.pids()))
            self.tcp = max(self.tcp, tcp_bytes())


def _beside(bench: Bench, name: str) -> Iterator[Figures]:
    plan = bench.plan
    env = {"ROWCAST_WRITE_DEADLINE": str(plan.slow_deadline_s)}
    with (
        bench.folder() as folder,
        Rowcast(folder, fanout=name == "fanout", env=env) as server,
        Load(server.url, SAMPLED_STREAMS) as normal,
        Load(server.url) as slow,
    ):
        normal.open(plan.slow_normal)
        bench.say(f"{server.name}, without slow ones")
        without, _, base = _flow(bench, server, normal, plan.slow_s)
        bench.say(f"{server.name}, with slow ones")
        slow.open(plan.slow_each, "never")
        slow.open(plan.slow_each, "trickle")
        slow.mark()
        beside, rows, most = _flow(bench, server, normal, plan.slow_s)
        rest_s = plan.slow_after_s + max(0.0, plan.slow_deadline_s - plan.slow_s)
        _, more, _ = _flow(bench, server, normal, rest_s)
        after = _Memory(server)
        after.look()
        bench.say(f"{server.name}, slow ones catch up")
        slow.read_all()
        least = slow.wait_each(rows + more, CAUGHT_UP_S)
        got = slow.report()
        yield {
            "without_ms": without.p99_ms,
            "with_ms": beside.p99_ms,
            "normal_missing": plan.slow_normal * rows - beside.rows,
            "pss_base": base.pss,
            "pss_most": most.pss,
            "pss_after": after.pss,
            "tcp_base": base.tcp,
            "tcp_most": most.tcp,
            "tcp_after": after.tcp,
            "rows": rows + more,
            "least": least,
            "most": got.most,
            "resets": got.resets,
            "dropped": got.lost,
        }


def _flow(bench: Bench, server: Rowcast, normal: Load, for_s: float) -> tuple[Got, int, _Memory]:
    rows, memory = 0, _Memory(server)

    def send(count: int) -> None:
        nonlocal rows
        server.publish(count)
        rows += count
        memory.look()

    normal.mark()
    steadily(send, bench.plan.slow_rows_per_s, for_s)
    normal.wait_each(rows, bench.plan.settle_s)
    return normal.report(), rows, memory


def _table(rows: list[Figures]) -> str:
    heads = ("", "p99 without", "p99 with", "ratio", "PSS before, most, after",
             "TCP before, most, after", "dropped", "rows of each slow one")  # fmt: skip
    lines = [
        (
            title(row),
            f"{row['without_ms']:.0f} ms",
            f"{row['with_ms']:.0f} ms",
            ratio(row["with_ms"], row["without_ms"]),
            *(
                ", ".join(f"{row[f'{kind}_{when}'] / 2**20:.0f}" for when in WHEN) + " MB"
                for kind in ("pss", "tcp")
            ),
            row["dropped"],
            f"{row['least']:,}–{row['most']:,} of {row['rows']:,}",
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


WHEN = ("base", "most", "after")

CASE = Case(
    name="slow",
    title="Slow clients beside normal ones",
    method=METHOD,
    run=run,
    count=lambda plan: len(set(OURS) & set(plan.contenders)),
    table=_table,
)
