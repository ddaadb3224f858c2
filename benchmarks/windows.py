"""`python -m benchmarks.windows`: what a look of a feed by window costs, the database and us.

CPU times of this process, which do not depend on what else the machine does, and the database's own
times where it tells them. A window of 1,000 rows of a table of 20,000, and its slack.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.database import Database
from poller.reading.windows.query import LIMIT, Asked
from poller.reading.windows.source import WindowSource
from poller.runtime.settings import Settings
from poller.window.log import WindowLog
from poller.window.looker import Looker
from poller.window.picture import slack_of
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.sql import KEY_TYPES

ROWS, WINDOW, ROUNDS = 20_000, 1_000, 200
SERVERS = {"postgresql": Postgres, "mariadb": MariaDB}
COLUMNS = (
    "customer VARCHAR(40), body VARCHAR(200), total NUMERIC(10,2), created_at TIMESTAMP NOT NULL"
)
INSERT = sa.text("INSERT INTO orders (customer, body, total, created_at) VALUES (:c, :b, :t, :at)")


def main() -> None:
    print("| | nothing written | a row written | rows read: database and driver |")  # noqa: T201
    print("|---|---|---|---|")  # noqa: T201
    for name in ("sqlite", *SERVERS):
        with _url(name) as url:
            print(_line(name, url), flush=True)  # noqa: T201


def _line(name: str, url: str) -> str:
    database = Database(url)
    _fill(database)
    asked = Asked("orders", "orders", None, None, "created_at", WINDOW)
    rows = WINDOW + slack_of(WINDOW)
    source = WindowSource(asked, database, Settings(), rows)
    looker = Looker("orders", source, WindowLog(10_000, 2**26), WINDOW, Settings(), lambda: True)
    looker.poll()
    try:
        quiet_ms = _cpu_ms(looker.poll)
        busy_ms = _cpu_ms(looker.poll, before=lambda number: _touch(database, number))
        read_ms = database.read(lambda connection: _read_ms(connection, source, rows))
        told = database.read(lambda connection: _told(connection, source, rows))
    finally:
        database.close()
    return f"| {name} | {quiet_ms:.2f} ms | {busy_ms:.2f} ms | {read_ms:.2f} ms{told} |"


def _fill(database: Database) -> None:
    key = KEY_TYPES[database.dialect]
    rows = [
        {"c": f"c{n}", "b": "x" * 100, "t": n, "at": f"2026-01-{n % 28 + 1:02d} 10:{n % 60:02d}:00"}
        for n in range(ROWS)
    ]

    def work(connection: Connection) -> None:
        connection.exec_driver_sql(f"CREATE TABLE orders (id {key}, {COLUMNS})")
        connection.execute(INSERT, rows)
        connection.exec_driver_sql("CREATE INDEX newest ON orders (created_at, id)")

    database.write(work)


def _touch(database: Database, number: int) -> None:
    newest = "SELECT id FROM orders ORDER BY created_at DESC, id DESC LIMIT 1"
    row_id = database.read(lambda c: c.scalar(sa.text(newest)))
    update = sa.text("UPDATE orders SET customer = :c WHERE id = :id")
    database.write(lambda c: c.execute(update, {"c": f"touched {number}", "id": row_id}))


def _cpu_ms(work: Callable[[], object], before: Callable[[int], object] = lambda _: None) -> float:
    """The median. SQLite's thread is counted, too."""
    times = []
    for number in range(ROUNDS):
        before(number)
        began_at = time.process_time()
        work()
        times.append(time.process_time() - began_at)
    return 1000 * median(times)


def _read_ms(connection: Connection, source: WindowSource, rows: int) -> float:
    statement = source.query.statement
    return _cpu_ms(lambda: connection.execute(statement, {LIMIT: rows}).all())


def _told(connection: Connection, source: WindowSource, rows: int) -> str:
    """What PostgreSQL itself needs for both statements."""
    if connection.dialect.name != "postgresql" or source.query.versions is None:
        return ""
    return "; database alone: " + ", ".join(
        f"{name} {_explained_ms(connection, statement, rows):.2f} ms"
        for name, statement in (("gate", source.query.versions), ("rows", source.query.statement))
    )


def _explained_ms(connection: Connection, statement: sa.Select[Any], rows: int) -> float:
    compiled = statement.compile(dialect=connection.dialect)
    given = {**compiled.params, LIMIT: rows}
    explain = f"EXPLAIN (ANALYZE, TIMING OFF) {compiled}"
    times = []
    for _ in range(ROUNDS // 4):
        plan = connection.exec_driver_sql(explain, given).scalars().all()
        times.append(sum(float(line.split()[2]) for line in plan if " Time: " in line))
    return median(times)


@contextmanager
def _url(name: str) -> Iterator[str]:
    if name not in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'orders.db'}"
        return
    with SERVERS[name]() as server:
        yield server.create_database()


if __name__ == "__main__":
    main()
