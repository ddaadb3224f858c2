"""What the fence costs: a pass with gaps open beside a poll without, 0 and 200 writers connected.

Each writer holds a transaction open that has inserted into the watched table, which is the worst
case: every one of them is a holder. The three kinds of pass take turns, so that whatever else the
machine does hits all alike; the median of each is compared with that of the poll.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from poller.cursor import Cursor, Range
from poller.database import Database
from poller.table import Table
from tests.harness import sql
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.server import DatabaseServer

ROWS = 20_000
PASSES = 200
WRITERS = (0, 200)
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


def measure(url: str) -> tuple[str, list[float]]:
    """The fence's name, and the median milliseconds of a poll, a pass with 1 and with 500 gaps."""
    database, table = Database(url), Table("notes")
    database.read(table.describe)
    fence = table.known.fence

    def passing(cursor: Cursor) -> Callable[[], object]:
        def run() -> object:
            def work(connection: object) -> object:
                evidence = fence.look(connection, cursor.gaps) if cursor.gaps else None  # type: ignore[arg-type]
                return evidence, table.poll(connection, cursor, 500)  # type: ignore[arg-type]

            return database.read(work)

        return run

    kinds = [passing(cursor_with(gaps)) for gaps in (0, 1, 500)]
    took: list[list[float]] = [[] for _ in kinds]
    for _ in range(PASSES):
        for kind, times in zip(kinds, took, strict=True):
            began = time.perf_counter()
            kind()
            times.append(1000 * (time.perf_counter() - began))
    database.close()
    return fence.name, [statistics.median(times) for times in took]


def lines(name: str, server: DatabaseServer) -> Iterator[str]:
    with server:
        url = server.create_database()
        fill(url)
        for count in WRITERS:
            with writers(url, count):
                fence, (poll, one, many) = measure(url)
            yield (
                f"| {name} | {fence} | {count} | {poll:.2f} ms | {one:.2f} ms, {one / poll:.1f} × "
                f"| {many:.2f} ms, {many / poll:.1f} × |"
            )


def main() -> None:
    told = [
        "| database | fence | open transactions | poll, no gap | 1 gap | 500 gaps |",
        "|---|---|---|---|---|---|",
        *lines("PostgreSQL", Postgres()),
        *lines("MariaDB", MariaDB()),
        *lines("MariaDB, metadata locks", MariaDB(*METADATA_LOCKS)),
    ]
    sys.stdout.write("\n".join([*told, ""]))


if __name__ == "__main__":
    main()
