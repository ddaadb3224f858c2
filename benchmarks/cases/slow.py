"""Slow clients next to normal ones: what the normal ones notice, and what memory it takes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.case import Bench, Case, Figures, folder, steadily
from benchmarks.contenders import Rowcast
from benchmarks.load import Load
from benchmarks.measure import pss_bytes, tcp_bytes
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, ratio, table, title

CAUGHT_UP_S = 180.0  # until they have everything; small buffers take it in small pieces
SAMPLED_STREAMS = 200
WHEN = ("before", "with", "after")

METHOD = f"""
{FULL.slow_normal:,} normal streams get {FULL.slow_rows_per_s} rows a second for {FULL.slow_s:g} s.
Then {FULL.slow_each} clients join that never read, and {FULL.slow_each} that read 1 KB/s, for as
long again (**with**), and on until the write deadline of {FULL.slow_deadline_s:g} s has passed.
**PSS** is that of all processes of the server. **TCP** is the kernel's memory in all TCP buffers of
the machine, the load client's included. Both are given **before** the slow clients, **with** them,
and **after** the deadline. At the end the slow clients read everything, and
reconnect where they were dropped: **rows** is what each of them got of the rows inserted since it
joined.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.guarded(("fanout",), lambda _: _beside(bench))


def _beside(bench: Bench) -> Iterator[Figures]:
    plan = bench.plan
    env = {"ROWCAST_WRITE_DEADLINE": str(plan.slow_deadline_s)}
    with (
        folder() as place,
        Rowcast(place, env=env) as server,
        Load(server.url, SAMPLED_STREAMS) as normal,
        Load(server.url) as slow,
    ):
        normal.open(plan.slow_normal)
        _, without_ms = _flow(bench, server, normal, plan.slow_s)
        memory = {"before": _memory(server)}
        bench.say("with slow clients")
        slow.open(plan.slow_each, "never")
        slow.open(plan.slow_each, "trickle")
        slow.mark()
        rows, with_ms = _flow(bench, server, normal, plan.slow_s)
        memory["with"] = _memory(server)
        rest_s = plan.slow_after_s + max(0.0, plan.slow_deadline_s - plan.slow_s)
        more, _ = _flow(bench, server, normal, rest_s)
        memory["after"] = _memory(server)
        bench.say("slow clients catch up")
        slow.read_all()
        least = slow.wait_each(rows + more, CAUGHT_UP_S)
        got = slow.report()
        yield {
            "without_ms": without_ms,
            "with_ms": with_ms,
            **{f"pss_{when}": pss for when, (pss, _) in memory.items()},
            **{f"tcp_{when}": tcp for when, (_, tcp) in memory.items()},
            "rows": rows + more,
            "least": least,
            "most": got.most,
            "resets": got.resets,
            "dropped": got.lost,
        }


def _flow(bench: Bench, server: Rowcast, normal: Load, for_s: float) -> tuple[int, float]:
    """Rows sent for so long, every one of which the normal streams got, and their p99 in ms."""
    rows = 0

    def send(count: int) -> None:
        nonlocal rows
        server.publish(count)
        rows += count

    normal.mark()
    steadily(send, bench.plan.slow_rows_per_s, for_s)
    least = normal.wait_each(rows, bench.plan.settle_s)
    assert least == rows, f"a normal stream got {least} of {rows} rows"
    return rows, normal.report().p99_ms


def _memory(server: Rowcast) -> tuple[int, int]:
    """Bytes of PSS and of TCP buffers, now."""
    return pss_bytes(server.pids()), tcp_bytes()


def _table(rows: list[Figures]) -> str:
    heads = ("", "p99 without", "p99 with", "ratio", "PSS before, with, after",
             "TCP before, with, after", "dropped", "rows of each slow client")  # fmt: skip
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


CASE = Case(
    name="slow", title="Slow clients next to normal ones", method=METHOD, run=run, table=_table
)
