"""A reconnect storm: streams lose their worker. Counts queries before and during."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psutil

from benchmarks.case import Bench, Case, Figures, folder, steadily
from benchmarks.contenders import Rowcast
from benchmarks.crowd import Crowd
from benchmarks.plan import FULL
from benchmarks.tables import left_out, measured, ratio, table
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until

ROWS_PER_S = 2
BACK_S = 60.0  # until the last stream is back and has every row
ROW_S = 5.0  # until a row is everywhere, or some stream began after it
WORKERS = 4
RETRY_S = 2.0  # that a stream is told; a native client keeps it
FEW_STREAMS = 10  # no storm: what a worker asks the database when it starts

METHOD = f"""
{FULL.storm_streams:,} streams on {WORKERS} workers that poll PostgreSQL, {ROWS_PER_S} rows a
second. **Reload** is a SIGHUP: the streams move to the new workers. **Killed** is a `kill -9` of
the worker with most streams: they are told nothing, and reconnect after the `retry` of their first
frame, {RETRY_S:g} s, all at once. **Queries** are the SELECTs that PostgreSQL logged from all
workers, including those of a starting worker, in {FULL.storm_s:g} s before the signal and in as
long from it on. **Ends** counts streams that ended, twice where one met two ending workers.
**Away** is the longest time from the end of a stream until it was open again. **Rows** is what each
stream got of the rows inserted from the beginning to the end; of some in each load client every
row's number was looked at, and **doubled** counts those that came again. With {FEW_STREAMS} streams
there is no storm: those lines show what the start of a worker costs.
"""


def run(bench: Bench) -> Iterator[Figures]:
    return bench.guarded(("fanout",), lambda _: _storms(bench))


def _storms(bench: Bench) -> Iterator[Figures]:
    with Postgres() as postgres, folder() as place:
        url = postgres.create_database()
        with Rowcast(place, database_url=url, workers=WORKERS) as server:
            for streams in (FEW_STREAMS, bench.plan.storm_streams):
                with Crowd(server.url, streams) as crowd:
                    crowd.open()
                    _wait_until_live(server, crowd)
                    for kind, signalled in (("reload", _reload), ("killed", _kill)):
                        bench.say(f"{streams:,} streams, {kind}")
                        yield {"kind": kind, **_storm(bench, postgres, server, crowd, signalled)}


def _wait_until_live(server: Rowcast, crowd: Crowd) -> None:
    """A stream that opens before its worker's first poll begins there, after rows inserted
    meanwhile. So rows are sent until one has reached every stream."""
    crowd.mark()

    def live() -> bool:
        server.publish()
        return crowd.wait_each(1, ROW_S) >= 1

    wait_until(live, BACK_S, "a row reaches every stream")


def _storm(
    bench: Bench,
    postgres: Postgres,
    server: Rowcast,
    crowd: Crowd,
    signalled: Callable[[Rowcast], None],
) -> Figures:
    rows = 0

    def send(count: int) -> None:
        nonlocal rows
        server.publish(count)
        rows += count

    def queries_per_s(begin: Callable[[], None] = lambda: None) -> float:
        began = time.monotonic()
        with postgres.count_statements(server.database_url) as count:
            begin()
            steadily(send, ROWS_PER_S, bench.plan.storm_s)
        return len(count.queries) / (time.monotonic() - began)

    crowd.mark()
    before = queries_per_s()
    during = queries_per_s(lambda: signalled(server))
    open_again = crowd.wait_open(BACK_S)
    least = crowd.wait_each(rows, BACK_S)
    got = crowd.report()
    return {
        "streams": crowd.streams,
        "ends": got.lost,
        "open": open_again,
        "away_s": got.away_s,
        "before": before,
        "during": during,
        "rows": rows,
        "least": least,
        "most": got.most,
        "doubled": got.doubled,
        "resets": got.resets,
    }


def _reload(server: Rowcast) -> None:
    server.reload()


def _kill(server: Rowcast) -> None:
    """Of the worker with most descriptors, hence streams."""
    pids = server.server.worker_pids()
    server.server.kill_worker(max(pids, key=lambda pid: psutil.Process(pid).num_fds()))


def _table(rows: list[Figures]) -> str:
    few = {row["kind"]: row["during"] for row in reversed(measured(rows))}
    heads = (
        "storm", "streams", "ends", "open again", "away at most", "queries/s before", "during",
        "of before", "of few streams", "rows of each stream", "doubled",
    )  # fmt: skip
    lines = [
        (
            row["kind"],
            f"{row['streams']:,}",
            f"{row['ends']:,}",
            f"{row['open']:,}",
            f"{row['away_s']:.1f} s",
            f"{row['before']:.1f}",
            f"{row['during']:.1f}",
            ratio(row["during"], row["before"]),
            ratio(row["during"], few[row["kind"]]),
            f"{row['least']}–{row['most']} of {row['rows']}",
            row["doubled"],
        )
        for row in measured(rows)
    ]
    return table(heads, lines) + "\n" + left_out(rows)


CASE = Case(name="storm", title="Reconnect storm", method=METHOD, run=run, table=_table)
