"""Volatile columns: what differs at each look though nothing was written, as `now()` does.

Each worker would see other rows, and every look all of them changed. So a view or a SELECT is
looked at twice while nothing is written, and what differs then in every row is volatile. How it is
known that nothing was written depends on the database:

- SQLite: the same `data_version` and the like (`sqlite_gate.py`) at two looks, far enough apart for
  its clock of whole seconds.
- PostgreSQL: the same snapshot at two statements, which are two transactions: `now()` moves on.
- MariaDB and MySQL: two statements in one transaction, whose snapshot stays, while `NOW()` goes on
  with each statement. They are a second apart, for a clock of whole seconds.

Others are not checked. Where a database is written to without a pause, it may take some looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence

import gevent
from sqlalchemy import Connection, text

from poller.reading.windows.look import Raw

LONGER_THAN_A_SECOND_S = 1.05
TRIES = 100  # looks; then it was written to each time, and nobody will ever know
SNAPSHOT = text("SELECT CAST(txid_current_snapshot() AS text)")
BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
Reads = Callable[[], Sequence[Raw]]


class Volatile:
    """The check of one query, until it is `settled`. Raw rows have `skip` values before those of
    the columns `names`."""

    def __init__(self, dialect: str, names: Sequence[str], skip: int) -> None:
        self._dialect = dialect
        self._names = names
        self._skip = skip
        self._tries = 0
        self._before: tuple[object, float, Sequence[Raw]] | None = None
        self.settled = dialect not in ("sqlite", "postgresql", "mysql", "mariadb")

    def found(
        self,
        connection: Connection,
        rows: Sequence[Raw],
        key_of: Callable[[Raw], Hashable],
        again: Reads,
        written: object,
    ) -> list[str]:
        """The columns that differ. `rows` were read just now, `again()` reads them once more;
        `written` is what SQLite's gate told before."""
        if not rows:
            return []
        pair = self._pair(connection, rows, again, written)
        self._tries += 1
        if pair is None:
            self.settled = self._tries >= TRIES
            return []
        self.settled = True
        return self._differing(*pair, key_of)

    def _pair(
        self, connection: Connection, rows: Sequence[Raw], again: Reads, written: object
    ) -> tuple[Sequence[Raw], Sequence[Raw]] | None:
        """What two looks saw between which nothing was written."""
        match self._dialect:
            case "sqlite":
                return self._apart_in_time(rows, written)
            case "postgresql":
                before = connection.scalar(SNAPSHOT)
                pair = again(), again()
                return pair if connection.scalar(SNAPSHOT) == before else None
            case _:
                return _in_one_snapshot(connection, again)

    def _apart_in_time(
        self, rows: Sequence[Raw], written: object
    ) -> tuple[Sequence[Raw], Sequence[Raw]] | None:
        now = time.monotonic()
        if self._before is None or self._before[0] != written:
            self._before = written, now, rows
            return None
        if now - self._before[1] < LONGER_THAN_A_SECOND_S:
            return None
        return self._before[2], rows

    def _differing(
        self, before: Sequence[Raw], after: Sequence[Raw], key_of: Callable[[Raw], Hashable]
    ) -> list[str]:
        known = {key_of(raw): raw for raw in before}
        pairs = [(known[key], raw) for raw in after if (key := key_of(raw)) in known]
        if not pairs:
            return []
        return [
            name
            for at, name in enumerate(self._names, start=self._skip)
            if all(one[at] != other[at] for one, other in pairs)
        ]


def _in_one_snapshot(connection: Connection, again: Reads) -> tuple[Sequence[Raw], Sequence[Raw]]:
    for statement in BEGIN:
        connection.exec_driver_sql(statement)
    try:
        before = again()
        gevent.sleep(LONGER_THAN_A_SECOND_S)
        return before, again()
    finally:
        connection.exec_driver_sql("ROLLBACK")
