"""`python -m benchmarks.scale`: what many workers cost the database, measured and then simulated.

Real workers under gunicorn poll a private PostgreSQL; nobody listens, and the idle interval is the
poll interval, so that each worker polls. Reads are counted by the database, CPU time by the kernel:
that of all processes of PostgreSQL, and that of the workers.

The simulation has the same workers, the measured time of a read at the database, and a database of
a few cores that serves one read each at a time. It has to agree with the measurements where there
are some; then it is asked what 10^5 and 10^6 streams need. Streams do not cost the database
anything; how many workers they need follows from the two costs of a worker (docs/benchmarks.md).
"""

from __future__ import annotations

import heapq
import math
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.measure import cpu_s, quantile
from benchmarks.tables import table
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.postgres import Postgres

WORKERS = (1, 2, 4, 8, 16, 32)
FEEDS = (1, 4)
INTERVAL_S = 0.1
MEASURED_S = 10.0
SETTLE_S = 3.0
TOLERANCE = 0.15  # between the simulation and what was measured
DATABASE_CORES = 4  # of the database in the simulation
STREAMS_A_WORKER = 20_000
ROW_TO_A_STREAM_S = 9e-6  # CPU of a worker: docs/benchmarks.md
BUSY_SHARE = 0.6  # of a core, at most, for a worker that keeps its delays
NOT_THE_WALL = {"SECRET_KEY": "", "HOST": "", "ROWCAST_POST_RATE": ""}


@dataclass(frozen=True)
class Measured:
    workers: int
    feeds: int
    reads_per_s: float
    read_cpu_s: float  # at the database
    worker_cpu: float  # share of a core, of one worker

    @property
    def polls(self) -> int:
        return self.workers * self.feeds


@dataclass(frozen=True)
class Simulated:
    reads_per_s: float
    cores: float  # of the database, busy on average
    p50_s: float  # from a commit to the end of the read that has the row
    p99_s: float


@click.command()
@click.option("--most", default=WORKERS[-1], show_default=True, help="Workers at most.")
@click.option("--interval", default=INTERVAL_S, show_default=True, help="Seconds.")
def main(most: int, interval: float) -> None:
    """Measure, compare with the simulation, and ask it for more."""
    cases = [(workers, feeds) for feeds in FEEDS for workers in WORKERS if workers <= most]
    with Postgres() as database:
        measured = [measure(database, *case, interval) for case in cases]
    read_cpu_s = quantile([one.read_cpu_s for one in measured], 0.5)
    click.echo(_measured_table(measured, read_cpu_s, interval))
    click.echo(_needs_table(read_cpu_s, interval))


# -- measured -----------------------------------------------------------------------------------


def measure(database: Postgres, workers: int, feeds: int, interval_s: float) -> Measured:
    """That many workers of an application of so many feeds, for `MEASURED_S`."""
    url = database.create_database()
    for number in range(feeds):
        sql.execute(url, f"CREATE TABLE t{number} (id bigserial PRIMARY KEY, body text)")
        sql.execute(url, f"INSERT INTO t{number} (body) SELECT 'x' FROM generate_series(1, 10000)")
    with _served(url, workers, feeds, interval_s) as server:
        time.sleep(SETTLE_S)
        before, began = _used(database, url, server), time.monotonic()
        time.sleep(MEASURED_S)
        after, took_s = _used(database, url, server), time.monotonic() - began
    database.drop_database(url)
    reads, database_s, workers_s = (b - a for a, b in zip(before, after, strict=True))
    return Measured(
        workers, feeds, reads / took_s, database_s / reads, workers_s / took_s / workers
    )


@contextmanager
def _served(url: str, workers: int, feeds: int, interval_s: float) -> Iterator[Gunicorn]:
    with tempfile.TemporaryDirectory() as name:
        settings = {
            **NOT_THE_WALL,
            "DATABASE_URL": url,
            "ROWCAST_POLL_INTERVAL": str(interval_s),
            "ROWCAST_IDLE_INTERVAL": str(interval_s),
            "SCALE_FEEDS": str(feeds),
        }
        app = "benchmarks.scale_app:app"
        with Gunicorn(Path(name), settings, workers=workers, app=app) as server:
            yield server.wait_ready(120)


def _used(database: Postgres, url: str, server: Gunicorn) -> tuple[float, float, float]:
    """Reads, seconds of the database, seconds of the workers: since they began."""
    time.sleep(1.1)  # PostgreSQL tells its figures once a second
    name = url.rsplit("/", 1)[1]
    asked = f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'"
    ((reads,),) = sql.execute(database.url, asked)
    return float(reads), cpu_s(database.pids()), cpu_s(server.worker_pids())


# -- simulated ----------------------------------------------------------------------------------


def simulate(
    polls: int, interval_s: float, read_s: float, cores: int, seconds: float = 60.0, seed: int = 1
) -> Simulated:
    """`polls` loops that read, wait for the interval, and read again, at a database whose cores
    serve a read each. Rows are committed at any time; each loop has to read each of them."""
    chance = random.Random(seed)
    starts = [(chance.uniform(0, interval_s), number) for number in range(polls)]
    heapq.heapify(starts)
    free = [0.0] * cores
    delays: list[float] = []
    reads, busy_s, began = 0, 0.0, [0.0] * polls
    while (due := heapq.heappop(starts))[0] < seconds:
        at, number = due
        core = min(range(cores), key=free.__getitem__)
        starts_at = max(at, free[core])
        took_s = chance.expovariate(1 / read_s)
        ends_at = free[core] = starts_at + took_s
        # A row that was committed since the snapshot of the read before is in this one.
        delays.append(ends_at - chance.uniform(began[number], starts_at))
        began[number] = starts_at
        reads, busy_s = reads + 1, busy_s + took_s
        heapq.heappush(starts, (ends_at + interval_s, number))
    return Simulated(
        reads / seconds, busy_s / seconds, quantile(delays, 0.5), quantile(delays, 0.99)
    )


def workers_for(streams: int, rows_per_s: float) -> int:
    """By descriptors, and by what a row costs for each stream."""
    by_cpu = streams * rows_per_s * ROW_TO_A_STREAM_S / BUSY_SHARE
    return math.ceil(max(streams / STREAMS_A_WORKER, by_cpu))


# -- told ---------------------------------------------------------------------------------------


def _measured_table(measured: list[Measured], read_cpu_s: float, interval_s: float) -> str:
    rows = []
    for one in measured:
        model = simulate(one.polls, interval_s, read_cpu_s, DATABASE_CORES)
        apart = one.reads_per_s / model.reads_per_s - 1
        rows.append(
            [
                str(one.workers),
                str(one.feeds),
                f"{one.reads_per_s:.0f}",
                f"{model.reads_per_s:.0f}",
                f"{1e6 * one.read_cpu_s:.0f} µs",
                f"{100 * one.worker_cpu:.2f} %",
                "yes" if abs(apart) <= TOLERANCE else f"no: {100 * apart:+.0f} %",
            ]
        )
    head = ["workers", "feeds", "reads/s", "simulated", "database's CPU a read"]
    return table([*head, "a worker's CPU", "agree"], rows)


def _needs_table(read_cpu_s: float, interval_s: float) -> str:
    rows = []
    for streams in (100_000, 1_000_000):
        for rows_per_s in (0.1, 1, 10):
            workers = workers_for(streams, rows_per_s)
            model = simulate(workers, interval_s, read_cpu_s, DATABASE_CORES)
            rows.append(
                [
                    f"{streams:,}",
                    f"{rows_per_s:g}",
                    f"{workers:,}",
                    f"{model.reads_per_s:,.0f}",
                    f"{model.cores:.2f}",
                    f"{1000 * model.p50_s:.0f} ms",
                    f"{1000 * model.p99_s:.0f} ms",
                ]
            )
    head = ["streams", "rows/s to each", "workers", "reads/s", "database cores", "p50", "p99"]
    return table(head, rows)


if __name__ == "__main__":
    main()
