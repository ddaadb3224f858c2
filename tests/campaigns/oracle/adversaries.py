"""The processes that write, by role: `… oracle.adversaries ROLE URL NAME SEED JOURNAL`.

| role | what it does |
|---|---|
| writer | transactions of every kind: `writer.py` |
| burner | burns ids at a rate, inserts in bulk, and makes the ids jump |
| holder | inserts a row and keeps it open until it is told to stop, then commits it |
| unrelated | keeps a transaction open on another table |
| steady | commits `--rate` rows a second, one by one, each beside an id that it burns |

Each ends on SIGTERM, and connects again when the database does.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from tests.campaigns.oracle.inserts import JUMP
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import now_s
from tests.campaigns.oracle.writer import Writer

BURNT_PER_S = 20.0
BULK_EVERY_S = 4.0
BULK_ROWS = (50, 400)
SPARSE_EVERY_S = 1.0
JUMP_IDS = {"postgresql": 100_000, "sqlite": 100, "mariadb": 100}
STILL_THERE_S = 0.5  # between two looks of one that waits
LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'posts'"


class Burner(Writer):
    """Each step burns an id; now and then one is a bulk of rows, or a row far above the last."""

    def _work(self, connection: Any) -> None:
        if self.dialect == "mariadb":  # its rows are 100 apart, and so is what follows each
            with closing(connection.cursor()) as cursor:
                cursor.execute(f"SET SESSION auto_increment_increment = {JUMP_IDS['mariadb']}")
        for step in count():
            if self.stopped.wait(1 / BURNT_PER_S):
                return
            self._step(connection, step)

    def _step(self, connection: Any, step: int) -> None:
        kind, commit = self._burn, step % 2 == 1
        if step % round(BURNT_PER_S * BULK_EVERY_S) == 5:
            kind, commit = self._bulk, True
        elif step % round(BURNT_PER_S * SPARSE_EVERY_S) == 10:
            kind, commit = self._jump, True
        self.transaction(connection, kind, commit=commit)

    def _burn(self, cursor: Any) -> None:
        """The transaction is rolled back, or only this insert, or it inserts what is there."""
        self.did("burnt")
        if self.mine and self.random.random() < 0.5:
            self.insert(self.inserts.skipping(cursor, 0, [self.known_ref()]))
            return
        cursor.execute("SAVEPOINT here")
        self.insert(self.inserts.plain(cursor))
        self.undo(cursor, 0)

    def _bulk(self, cursor: Any) -> None:
        self.did("bulk")
        self.insert(self.inserts.bulk(cursor, self.random.randint(*BULK_ROWS)))

    def _jump(self, cursor: Any) -> None:
        """The next id is far above the last, as a key is that holds a time."""
        self.did("sparse")
        if self.dialect == "sqlite":
            cursor.execute(LAST_ID)
            (last,) = cursor.fetchone() or (0,)
            self.insert(self.inserts.with_id(cursor, int(last) + JUMP_IDS["sqlite"]))
            return
        if self.dialect == "postgresql":
            cursor.execute(JUMP, (JUMP_IDS["postgresql"],))
        self.insert(self.inserts.plain(cursor))


class Holder(Writer):
    """On SQLite it holds a snapshot: one that writes would hold up everybody."""

    def _work(self, connection: Any) -> None:
        if self.dialect == "sqlite":
            hold(self, connection, "SELECT count(*) FROM posts")
        else:
            self.transaction(connection, lambda cursor: self._keep(connection, cursor))

    def _keep(self, connection: Any, cursor: Any) -> None:
        self.insert(self.inserts.plain(cursor))
        self.did("held")
        while not self.stopped.wait(STILL_THERE_S):
            cursor.execute("SELECT 1")  # raises once the server is gone, or we were ended


class Unrelated(Writer):
    def _work(self, connection: Any) -> None:
        first = "SELECT count(*) FROM other"
        if self.dialect != "sqlite":
            first = f"INSERT INTO other (id) VALUES ({self.random.getrandbits(40)})"
        hold(self, connection, first)


def hold(writer: Writer, connection: Any, first: str) -> None:
    """A transaction that begins with this statement, until it is told to stop."""
    with closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(first)
        while not writer.stopped.wait(STILL_THERE_S):
            cursor.execute("SELECT count(*) FROM other")  # raises once the server is gone


class Steady(Writer):
    """What `ON CONFLICT DO NOTHING` leaves of a busy table."""

    rate = 1.0  # rows a second

    def _work(self, connection: Any) -> None:
        began_s = now_s()
        for number in count(1):
            if self.stopped.wait(max(0.0, began_s + number / self.rate - now_s())):
                return
            self.transaction(connection, self._one)

    def _one(self, cursor: Any) -> None:
        self.did("burnt")
        self.insert(self.inserts.skipping(cursor, 0, [self.known_ref()]))
        self.insert(self.inserts.plain(cursor))


ROLES: dict[str, Callable[..., Writer]] = {
    "writer": Writer,
    "burner": Burner,
    "holder": Holder,
    "unrelated": Unrelated,
    "steady": Steady,
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="adversaries")
    parser.add_argument("role", choices=ROLES)
    for name in ("url", "name", "seed"):
        parser.add_argument(name)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--rate", type=float, default=1.0)
    given = parser.parse_args(arguments)
    journal = Journal(given.journal)
    writer = ROLES[given.role](given.url, given.name, given.seed, journal)
    if isinstance(writer, Steady):
        writer.rate = given.rate
    signal.signal(signal.SIGTERM, lambda *_: writer.stopped.set())
    writer.run()
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1:])
