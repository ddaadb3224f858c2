"""A reload under load: what each client sees of it, next to nginx that reloads with nchan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.case import Bench, Case, Figures, folder, steadily
from benchmarks.contenders import Contender, Rowcast
from benchmarks.contenders.nchan import Nchan
from benchmarks.crowd import Crowd
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, table, title
from tests.harness.process import wait_until

WORKERS = 2
POLL_INTERVAL_S = 0.5
NCHAN_ROWS_PER_S = 2  # one write for each row and stream: with many more it could not keep up
ROW_S = 5.0  # until a row is everywhere, or some stream began after it
LIVE_S = 60.0  # until every stream is live, and has every row
NAMES = ("fanout", "nchan")

METHOD = f"""
{FULL.reload_streams:,} streams on {WORKERS} workers that poll SQLite every {POLL_INTERVAL_S:g} s,
{FULL.reload_rows_per_s} rows a second. The server gets a SIGHUP, and rows go on for
{FULL.reload_s:g} s; then {FULL.reload_times} of them, as far apart. **nchan** is nginx with as many
workers and streams, and gets {NCHAN_ROWS_PER_S} rows a second: it writes each one to each stream,
and could not keep up with more. It is reloaded by a SIGHUP, too. **Silence** is the longest time in
which a stream got no byte, of the median stream and of the worst one. **Reconnects** counts streams
that ended; they come back when they were told to, or after 2 s, with their last id. **Rows** is
what each stream got of those that were sent. Of some streams every row's number was looked at:
**lost** is what the worst of them lacks, **doubled** what all of them got again.
"""


def run(bench: Bench) -> Iterator[Figures]:
    names = tuple(name for name in NAMES if name in bench.plan.contenders)
    return bench.guarded(names, lambda name: _reloads(bench, name))


def _reloads(bench: Bench, name: str) -> Iterator[Figures]:
    with ExitStack() as stack:
        server = stack.enter_context(_make(name, stack.enter_context(folder())))
        crowd = stack.enter_context(Crowd(server.url, bench.plan.reload_streams))
        crowd.open()
        _wait_until_live(server, crowd)
        for reloads in (0, 1, bench.plan.reload_times):
            bench.say(f"{server.title}, {reloads} reloads")
            yield {"reloads": reloads, **_span(bench, server, crowd, reloads)}


def _make(name: str, place: Path) -> Contender:
    if name == "nchan":
        return Nchan(place, workers=WORKERS)
    return Rowcast(place, workers=WORKERS, env={"ROWCAST_POLL_INTERVAL": str(POLL_INTERVAL_S)})


def _wait_until_live(server: Contender, crowd: Crowd) -> None:
    """A stream that opens before its worker's first poll begins there, after rows inserted
    meanwhile. So rows are sent until one has reached every stream."""
    crowd.mark()

    def live() -> bool:
        server.publish()
        return crowd.wait_each(1, ROW_S) >= 1

    wait_until(live, LIVE_S, "a row reaches every stream")


def _span(bench: Bench, server: Contender, crowd: Crowd, reloads: int) -> Figures:
    """Rows for a while, with so many reloads, the first one at the beginning."""
    plan, rows = bench.plan, 0
    per_s = NCHAN_ROWS_PER_S if isinstance(server, Nchan) else plan.reload_rows_per_s
    reload_when_due = every(plan.reload_s, reloads, server.reload)

    def send(count: int) -> None:
        nonlocal rows
        reload_when_due()
        server.publish(count)
        rows += count

    crowd.mark()
    steadily(send, per_s, plan.reload_s * max(1, reloads))
    open_again = crowd.wait_open(LIVE_S)
    crowd.wait_each(rows, LIVE_S)
    got = crowd.report()
    return {
        "streams": crowd.streams,
        "rows_per_s": per_s,
        "reconnects": got.lost,
        "open": open_again,
        "usual_silence_s": got.usual_silence_s,
        "silence_s": got.silence_s,
        "rows": rows,
        "least": got.least,
        "most": got.most,
        "checked": got.checked,
        "lost": rows - got.distinct,
        "doubled": got.doubled,
    }


def every(seconds: float, times: int, act: Callable[[], None]) -> Callable[[], None]:
    """To be called often: acts at the first call, and so many times in all."""
    due_s, left = time.monotonic(), times

    def act_when_due() -> None:
        nonlocal due_s, left
        if left and time.monotonic() >= due_s:
            due_s, left = due_s + seconds, left - 1
            act()

    return act_when_due


def _table(rows: list[Figures]) -> str:
    heads = (
        "", "reloads", "streams", "rows/s", "reconnects", "silence, median", "worst",
        "rows of each stream", "lost", "doubled",
    )  # fmt: skip
    lines = [
        (
            title(row),
            row["reloads"],
            f"{row['open']:,} of {row['streams']:,}",
            row["rows_per_s"],
            f"{row['reconnects']:,}",
            f"{row['usual_silence_s']:.2f} s",
            f"{row['silence_s']:.2f} s",
            f"{row['least']:,}–{row['most']:,} of {row['rows']:,}",
            row["lost"],
            row["doubled"],
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(name="reload", title="Reload", method=METHOD, run=run, table=_table)
