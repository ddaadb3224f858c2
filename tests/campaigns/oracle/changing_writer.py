"""What changes rows, by role: `… oracle.changing_writer ROLE URL NAME SEED`.

| role | what it does |
|---|---|
| writer | inserts, updates, marks rows as deleted and takes that back, rolls back, waits |
| hot | updates row 1 about a hundred times a second |
| holder | updates row 2, keeps the transaction open for seconds, then ends it either way |

Each ends on SIGTERM, and connects again when the database does.
"""

import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from tests.campaigns.oracle.records import now_s
from tests.campaigns.oracle.table import DatabaseErrors
from tests.campaigns.oracle.writer import HOLDS, LONGEST_HOLD_S, LONGEST_HOLD_SQLITE_S
from tests.harness import sql

HOT_ROW, HELD_ROW, ROWS = 1, 2, 60
HOT_EVERY_S = 0.01
HELD_S = (3.0, 10.0)
ROLLED_BACK_SHARE = 0.15
NOW = {"sqlite": "CURRENT_TIMESTAMP"}
SET = "UPDATE orders SET {}, updated_at = {} WHERE id = {}"


class Changing:
    def __init__(self, url: str, name: str, seed: str) -> None:
        self._url, self._name = url, name
        self._random = random.Random(f"{seed}/{name}")
        self._dialect = sql.dialect_of(url)
        self._now = NOW.get(self._dialect, "CURRENT_TIMESTAMP(6)")
        self._longest_s = LONGEST_HOLD_SQLITE_S if self._dialect == "sqlite" else LONGEST_HOLD_S
        self._count = 0
        self.stopped = threading.Event()

    def run(self, role: str) -> None:
        work: Callable[[Any], None] = {
            "writer": self._write,
            "hot": self._heat,
            "holder": self._hold,
        }[role]
        while not self.stopped.is_set():
            with suppress(*DatabaseErrors), sql.connect(self._url) as connection:
                work(connection)
            self.stopped.wait(self._random.uniform(0.1, 0.4))

    # -- roles ------------------------------------------------------------------------------

    def _write(self, connection: Any) -> None:
        kinds = (self._insert, self._change, self._change, self._remove, self._undo)
        while not self.stopped.is_set():
            self._transaction(connection, self._random.choice(kinds))
            if self._dialect == "sqlite":
                self.stopped.wait(self._random.uniform(0, 0.3))  # lets others have the lock

    def _heat(self, connection: Any) -> None:
        while not self.stopped.wait(HOT_EVERY_S):
            with closing(connection.cursor()) as cursor:
                self._update(cursor, HOT_ROW)
            connection.commit()

    def _hold(self, connection: Any) -> None:
        while not self.stopped.is_set():
            with closing(connection.cursor()) as cursor:
                if self._dialect == "sqlite":  # one that writes would hold up everybody
                    cursor.execute("BEGIN")
                    cursor.execute("SELECT count(*) FROM orders")
                else:
                    self._update(cursor, HELD_ROW)
            self.stopped.wait(self._random.uniform(*HELD_S))
            (connection.commit if self._random.random() < 0.5 else connection.rollback)()

    # -- transactions -------------------------------------------------------------------------

    def _transaction(self, connection: Any, kind: Callable[[Any], None]) -> None:
        with closing(connection.cursor()) as cursor:
            if self._dialect == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            kind(cursor)
            self._wait()
        rolled_back = self._random.random() < ROLLED_BACK_SHARE
        (connection.rollback if rolled_back else connection.commit)()

    def _insert(self, cursor: Any) -> None:
        cursor.execute(f"INSERT INTO orders (body) VALUES ('{self._text()}')")

    def _change(self, cursor: Any) -> None:
        """In the order of the keys: two that wait for each other would be a deadlock."""
        for key in sorted(self._random.sample(range(3, ROWS), self._random.randint(1, 4))):
            self._update(cursor, key)
            if self._random.random() < 0.3:
                self._wait()
            if self._random.random() < 0.2:
                self._update(cursor, key)

    def _remove(self, cursor: Any) -> None:
        mark = self._random.choice((self._now, self._now, "NULL"))
        self._update(cursor, self._random.randrange(3, ROWS), f"deleted_at = {mark}")

    def _undo(self, cursor: Any) -> None:
        key = self._random.randrange(3, ROWS)
        self._update(cursor, key)
        cursor.execute("SAVEPOINT here")
        self._update(cursor, key)
        self._wait()
        if self._random.random() < 0.6:
            cursor.execute("ROLLBACK TO SAVEPOINT here")

    def _update(self, cursor: Any, key: int, what: str = "") -> None:
        cursor.execute(SET.format(what or f"body = '{self._text()}'", self._now, key))

    def _text(self) -> str:
        self._count += 1
        return f"{self._name} {self._count} {now_s():.3f}"

    def _wait(self) -> None:
        low, high = self._random.choice(HOLDS)
        self.stopped.wait(self._longest_s * self._random.uniform(low, high))


def main(role: str, url: str, name: str, seed: str) -> None:
    changing = Changing(url, name, seed)
    signal.signal(signal.SIGTERM, lambda *_: changing.stopped.set())
    changing.run(role)


if __name__ == "__main__":
    main(*sys.argv[1:])
