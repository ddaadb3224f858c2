"""What the fence costs: a pass with gaps open beside a poll without, 0 and 200 writers connected.

Each writer holds a transaction open that has inserted into the watched table, which is the worst
case: every one of them is a holder. The three kinds of pass take turns, so that whatever else the
machine does hits all alike; the median of each is compared with that of the poll.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.case import Bench, Case, Figures
from benchmarks.plan import FULL
from benchmarks.tables import table
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range
from poller.reading.database import Database
from poller.reading.table import Table
from tests.harness import sql
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing
from tests.harness.server import DatabaseServer

ROWS = 20_000
KEYS = {"postgresql": "bigserial PRIMARY KEY", "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY"}


def cursor_with(gaps: int) -> Cursor:
    """One with `gaps` single ids missing among the newest rows."""
    missing: list[Range] = [(ROWS - 4 * n, ROWS - 4 * n) for n in range(gaps, 0, -1)]
    return Cursor.at(ROWS, missing)


def fill(url: str) -> None:
    """A table with `ROWS` rows, of which those that `cursor_with` calls missing are not there."""
    sql.execute(url, f"CREATE TABLE notes (id {KEYS[sql.dialect_of(url)]}, body varchar(99))")
    with sql.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO notes (body) VALUES (%s)", [(f"note {n}",) for n in range(ROWS)]
        )
        cursor.execute("DELETE FROM notes WHERE id %% 4 = 0 AND id < %s", (ROWS,))


@contextmanager
def writers(url: str, count: int) -> Iterator[None]:
    """So many connections, each in a transaction that holds an id."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(sql.connect(url))
            stack.callback(connection.rollback)
            connection.cursor().execute("INSERT INTO notes (body) VALUES ('not committed')")
        yield


def measure(url: str, passes: int) -> tuple[str, list[float]]:
    """The fence's name, and the median milliseconds of a poll, a pass with 1 and with 500 gaps."""
    database, table = Database(url), Table("notes")
    database.read(table.describe)
    fence = table.facts.fence

    def passing(cursor: Cursor) -> Callable[[], object]:
        def run() -> object:
            def work(connection: object) -> object:
                evidence = fence.look(connection, cursor.gaps) if cursor.gaps else None  # type: ignore[arg-type]
                return evidence, table.poll(connection, cursor, 500)  # type: ignore[arg-type]

            return database.read(work)

        return run

    kinds = [passing(cursor_with(gaps)) for gaps in (0, 1, 500)]
    took: list[list[float]] = [[] for _ in kinds]
    for _ in range(passes):
        for kind, times in zip(kinds, took, strict=True):
            began = time.perf_counter()
            kind()
            times.append(1000 * (time.perf_counter() - began))
    database.close()
    return fence.name, [statistics.median(times) for times in took]


def _database(bench: Bench, server: DatabaseServer) -> Iterator[Figures]:
    with server:
        url = server.create_database()
        fill(url)
        for count in bench.plan.fence_writers:
            with writers(url, count):
                fence, (poll, one, many) = measure(url, bench.plan.fence_passes)
            yield {"fence": fence, "open": count, "poll_ms": poll, "one_ms": one, "many_ms": many}


def run(bench: Bench) -> Iterator[Figures]:
    for name, make in SERVERS.items():
        bench.say(name)
        try:
            for figures in _database(bench, make()):
                yield {"database": name, **figures}
        except PartMissing as reason:
            yield {"database": name, "missing": str(reason)}


def _table(rows: list[Figures]) -> str:
    heads = ("database", "fence", "open transactions", "poll, no gap", "pass, 1 gap",
             "pass, 500 gaps")  # fmt: skip
    return table(heads, [_line(row) for row in rows]) + "\n"


def _line(row: Figures) -> tuple[object, ...]:
    if "missing" in row:
        return (row["database"], f"left out: {row['missing']}", "", "", "", "")
    poll = row["poll_ms"]
    passes = (f"{row[name]:.2f} ms, {row[name] / poll:.1f} ×" for name in ("one_ms", "many_ms"))
    return (row["database"], row["fence"], row["open"], f"{poll:.2f} ms", *passes)


SERVERS: dict[str, Callable[[], DatabaseServer]] = {
    "PostgreSQL": Postgres,
    "MariaDB": MariaDB,
    "MariaDB, metadata locks": lambda: MariaDB(*METADATA_LOCKS),
}

METHOD = f"""
While no gap is open, a poll is one statement, and the fence is not asked. With a gap, a pass asks
for the holders (PostgreSQL: one statement more that also reads the catalogue; MariaDB: two to
four), and the poll names the gaps. Each of the open transactions has inserted into the watched
table and so is a holder. The kinds of pass take turns, {FULL.fence_passes} times each; medians,
and their ratio to the poll.
"""

CASE = Case(
    name="fence",
    title="What the fence costs",
    method=METHOD,
    run=run,
    count=lambda plan: len(SERVERS) * len(plan.fence_writers),
    table=_table,
)
