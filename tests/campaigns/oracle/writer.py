"""One writer, a process of its own: `… oracle.writer URL NAME SEED JOURNAL`.

It ends after the transaction under way on SIGTERM. Killed in the middle it leaves attempts whose
outcome is unknown. `--hold S` makes one that holds a single row open for S seconds, commits it and
ends; `--unrelated` one that keeps a transaction open on another table.
"""

import argparse
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import Attempt, Deletion, Outcome, now_s, payload_of
from tests.campaigns.oracle.table import DatabaseErrors
from tests.harness import sql

ROLLED_BACK_SHARE = 0.15
DELETE_SHARE = 0.04
LONG_TEXT_SHARE = 0.05
LONGEST_HOLD_S = 2.0
# SQLite has one writer at a time, who holds up all the others.
LONGEST_HOLD_SQLITE_S = 0.06
# How long a transaction is kept open, as shares of the longest hold: many short, some long.
HOLDS = ((0.0, 0.02), (0.0, 0.02), (0.0, 0.3), (0.0, 1.0))
SCRAPS = ("plain", "ünïcödé", "two\nlines", "cr\rlf\r\n", "data: no\n\nid: 7\n", "🐘🐬🪶", '"{}"')
LONG_TEXT_CHARS = 1_800
REMEMBERED_ROWS = 30  # of which one may be deleted again
RECONNECT_S = (0.1, 0.4)
NEXTVAL = "SELECT nextval(pg_get_serial_sequence('posts', 'id'))"


class Writer:
    """Transactions of every kind, one after another, until it is told to stop."""

    def __init__(self, url: str, name: str, seed: str, journal: Journal) -> None:
        self._url = url
        self._name = name
        self._random = random.Random(f"{seed}/{name}")
        self._journal = journal
        self._dialect = sql.dialect_of(url)
        self._longest_s = LONGEST_HOLD_SQLITE_S if self._dialect == "sqlite" else LONGEST_HOLD_S
        self._mark = "?" if self._dialect == "sqlite" else "%s"
        self._stop = threading.Event()
        self._texts = 0
        self._mine: list[tuple[int, str]] = []  # committed lately: id, text
        self._inserted: list[tuple[int, str]] = []  # in this transaction
        self._undone: list[tuple[int, str]] = []  # … and rolled back to a savepoint

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Writes until stopped; an error costs the connection, and it comes back."""
        self._again_and_again(self._work)

    def hold(self, hold_s: float) -> None:
        """One row, its transaction kept open for so long."""
        with sql.connect(self._url) as connection, closing(connection.cursor()) as cursor:
            self._insert(cursor, 1)
            self._stop.wait(hold_s)
            self._end(connection, commit=True)

    def keep_open(self) -> None:
        """A write transaction on another table, open all the time (on SQLite one that reads,
        since a second writer could not be)."""
        self._again_and_again(self._keep_open)

    def _again_and_again(self, work: Callable[[Any], None]) -> None:
        while not self._stop.is_set():
            # Also an error on the way out of `connect`, whose connection may be dead by then.
            with suppress(*DatabaseErrors), sql.connect(self._url) as connection:
                work(connection)
            self._stop.wait(self._random.uniform(*RECONNECT_S))

    def _keep_open(self, connection: Any) -> None:
        with closing(connection.cursor()) as cursor:
            reading = "SELECT count(*) FROM other"
            cursor.execute("BEGIN")
            row_id = self._random.getrandbits(40)
            writing = f"INSERT INTO other (id) VALUES ({row_id})"
            cursor.execute(reading if self._dialect == "sqlite" else writing)
            while not self._stop.wait(0.5):
                cursor.execute(reading)  # raises once the server is gone

    def _work(self, connection: Any) -> None:
        while not self._stop.is_set():
            with closing(connection.cursor()) as cursor:
                if self._mine and self._random.random() < DELETE_SHARE:
                    self._delete(connection, cursor)
                else:
                    self._transaction(connection, cursor)
            if self._dialect == "sqlite":
                self._pause(0.5)  # lets others have the lock

    def _transaction(self, connection: Any, cursor: Any) -> None:
        kinds = [self._single, self._many, self._with_savepoint]
        if self._dialect == "postgresql":
            kinds.append(self._with_nextval)
        self._inserted, self._undone = [], []
        try:
            if self._dialect == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            self._random.choice(kinds)(cursor)
        except DatabaseErrors:
            # No COMMIT was sent, so these rows never were.
            self._write("rolled back", now_s())
            raise
        self._end(connection, commit=self._random.random() >= ROLLED_BACK_SHARE)

    def _single(self, cursor: Any) -> None:
        self._insert(cursor, 1)
        self._hold()

    def _many(self, cursor: Any) -> None:
        self._insert(cursor, self._random.randint(2, 5))
        self._hold()
        if self._random.random() < 0.5:
            self._insert(cursor, 1)

    def _with_savepoint(self, cursor: Any) -> None:
        self._insert(cursor, 1)
        cursor.execute("SAVEPOINT here")
        kept = len(self._inserted)
        self._insert(cursor, self._random.randint(1, 2))
        self._hold()
        if self._random.random() < 0.6:
            cursor.execute("ROLLBACK TO SAVEPOINT here")
            self._undone += self._inserted[kept:]
            del self._inserted[kept:]
            self._insert(cursor, 1)

    def _with_nextval(self, cursor: Any) -> None:
        cursor.execute(NEXTVAL)
        row_id = int(cursor.fetchone()[0])
        self._hold()
        text = self._text()
        values = (row_id, self._name, text)
        cursor.execute("INSERT INTO posts (id, author, body) VALUES (%s, %s, %s)", values)
        self._inserted.append((row_id, text))

    def _insert(self, cursor: Any, count: int) -> None:
        texts = [self._text() for _ in range(count)]
        rows = ", ".join([f"({self._mark}, {self._mark})"] * count)
        values = [value for text in texts for value in (self._name, text)]
        cursor.execute(f"INSERT INTO posts (author, body) VALUES {rows} RETURNING id", values)
        ids = [int(row[0]) for row in cursor.fetchall()]
        self._inserted += zip(ids, texts, strict=True)

    def _hold(self) -> None:
        low, high = self._random.choice(HOLDS)
        self._stop.wait(self._longest_s * self._random.uniform(low, high))

    def _pause(self, longest_s: float) -> None:
        self._stop.wait(self._random.uniform(0, longest_s))

    def _text(self) -> str:
        """A text that no other row has, also not one of this writer before it was killed."""
        self._texts += 1
        scrap = self._random.choice(SCRAPS)
        if self._random.random() < LONG_TEXT_SHARE:
            scrap = (scrap * LONG_TEXT_CHARS)[:LONG_TEXT_CHARS]
        return f"{self._name} {os.getpid()} {self._texts} {scrap}."

    def _end(self, connection: Any, *, commit: bool) -> None:
        """Commits or rolls back, and writes down how it went."""
        began_s = now_s()
        self._write("unknown", began_s)
        if not commit:
            connection.rollback()
            self._write("rolled back", began_s)
            return
        connection.commit()
        self._write("committed", began_s)
        self._mine = (self._mine + self._inserted)[-REMEMBERED_ROWS:]

    def _write(self, outcome: Outcome, began_s: float) -> None:
        """Everything of this transaction, with its outcome as far as it is known."""
        ended_s = None if outcome == "unknown" else now_s()
        self._journal.write(
            *(self._attempt(row, "rolled back", began_s, began_s) for row in self._undone),
            *(self._attempt(row, outcome, began_s, ended_s) for row in self._inserted),
        )

    def _attempt(
        self, row: tuple[int, str], outcome: Outcome, began_s: float, ended_s: float | None
    ) -> Attempt:
        row_id, text = row
        return Attempt(self._name, payload_of(text), row_id, began_s, ended_s, outcome)

    def _delete(self, connection: Any, cursor: Any) -> None:
        row_id, text = self._mine.pop(self._random.randrange(len(self._mine)))
        payload = payload_of(text)
        self._journal.write(Deletion(payload))
        # The text too: after a truncation the id may be another row's.
        where = f"id = {self._mark} AND body = {self._mark}"
        cursor.execute(f"DELETE FROM posts WHERE {where}", (row_id, text))
        connection.commit()
        self._journal.write(Deletion(payload, "committed"))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="writer")
    for name in ("url", "name", "seed"):
        parser.add_argument(name)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--hold", type=float, default=0.0)
    parser.add_argument("--unrelated", action="store_true")
    given = parser.parse_args(arguments)
    journal = Journal(given.journal)
    writer = Writer(given.url, given.name, given.seed, journal)
    signal.signal(signal.SIGTERM, lambda *_: writer.stop())
    if given.hold:
        writer.hold(given.hold)
    elif given.unrelated:
        writer.keep_open()
    else:
        writer.run()
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1:])
