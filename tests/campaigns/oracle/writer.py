"""One writer: transactions of every kind, and a journal of what became of each row.

Killed in the middle it leaves attempts whose outcome is unknown. `adversaries.py` runs it as a
process, and has others that are made of the same parts.
"""

import random
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from tests.campaigns.oracle.inserts import Inserted, Inserts, ref_of
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import (
    Attempt,
    Deed,
    Deletion,
    Outcome,
    now_s,
    payload_of,
)
from tests.campaigns.oracle.table import DatabaseErrors
from tests.harness import sql

ROLLED_BACK_SHARE = 0.15
LONGEST_HOLD_S = 2.0
# SQLite has one writer at a time, who holds up all the others.
LONGEST_HOLD_SQLITE_S = 0.06
# How long a transaction is kept open, as shares of the longest hold: many short, some long.
HOLDS = ((0.0, 0.02), (0.0, 0.02), (0.0, 0.3), (0.0, 1.0))
REMEMBERED_ROWS = 30  # of which one may be deleted again
MOST_REPLACED = 3  # rows, by one transaction
RECONNECT_S = (0.1, 0.4)


class Writer:
    """Transactions of every kind, one after another, until it is told to stop."""

    def __init__(self, url: str, name: str, seed: str, journal: Journal) -> None:
        self.url = url
        self.name = name
        self.random = random.Random(f"{seed}/{name}")
        self.dialect = sql.dialect_of(url)
        self.inserts = Inserts(self.dialect, name, self.random)
        self.journal = journal
        self.stopped = threading.Event()
        self.mine: list[Inserted] = []  # committed lately
        self._longest_s = LONGEST_HOLD_SQLITE_S if self.dialect == "sqlite" else LONGEST_HOLD_S
        self._inserted: list[Inserted] = []  # in this transaction
        self._undone: list[Inserted] = []  # … and rolled back to a savepoint
        self._deleted: list[str] = []  # payloads, in this transaction
        self._deeds: list[str] = []  # of this transaction, if it is committed
        self._kinds = [self._single, self._many, self._with_savepoint, self._upsert, self._skip]
        self._kinds += [self._replace, *([self._with_nextval] * (self.dialect == "postgresql"))]

    def run(self) -> None:
        """Writes until stopped; an error costs the connection, and it comes back."""
        self.again_and_again(self._work)

    def again_and_again(self, work: Callable[[Any], None]) -> None:
        while not self.stopped.is_set():
            # Also an error on the way out of `connect`, whose connection may be dead by then.
            with suppress(*DatabaseErrors), sql.connect(self.url) as connection:
                work(connection)
            self.stopped.wait(self.random.uniform(*RECONNECT_S))

    def _work(self, connection: Any) -> None:
        while not self.stopped.is_set():
            commit = self.random.random() >= ROLLED_BACK_SHARE
            self.transaction(connection, self.random.choice(self._kinds), commit=commit)
            if self.dialect == "sqlite":
                self.pause(0.5)  # lets others have the lock

    def transaction(
        self, connection: Any, kind: Callable[[Any], None], *, commit: bool = True
    ) -> None:
        """One of a kind, to its end; what it tried is in the journal whatever happens."""
        self._inserted, self._undone, self._deleted, self._deeds = [], [], [], []
        try:
            with closing(connection.cursor()) as cursor:
                if self.dialect == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                kind(cursor)
        except DatabaseErrors:
            # No COMMIT was sent, so these rows never were.
            self._write("rolled back", now_s())
            raise
        self._end(connection, commit=commit)

    # -- kinds of transactions ----------------------------------------------------------------

    def _single(self, cursor: Any) -> None:
        self.insert(self.inserts.plain(cursor))
        self.hold()

    def _many(self, cursor: Any) -> None:
        self.insert(self.inserts.plain(cursor, self.random.randint(2, 5)))
        self.hold()
        if self.random.random() < 0.5:
            self.insert(self.inserts.plain(cursor))

    def _with_savepoint(self, cursor: Any) -> None:
        self.insert(self.inserts.plain(cursor))
        cursor.execute("SAVEPOINT here")
        kept = len(self._inserted)
        self.insert(self.inserts.plain(cursor, self.random.randint(1, 2)))
        self.hold()
        if self.random.random() < 0.6:
            self.undo(cursor, kept)
            self.insert(self.inserts.plain(cursor))

    def _with_nextval(self, cursor: Any) -> None:
        row_id = self.inserts.with_nextval(cursor)
        self.hold()
        self.insert(self.inserts.with_id(cursor, row_id))

    def _upsert(self, cursor: Any) -> None:
        """An update burns the id that the row would have had. A row of one's own: two writers that
        wait for each other would be a deadlock."""
        self.insert(self.inserts.plain(cursor))
        new = self.inserts.upsert(cursor, self.known_ref())
        self.insert(new)
        self._deeds += ["upsert"] * (not new)
        self.hold()

    def _skip(self, cursor: Any) -> None:
        new = self.inserts.skipping(cursor, self.random.randint(1, 3), [self.known_ref()])
        self.insert(new)
        self._deeds.append("skipped")
        self.hold()

    def _replace(self, cursor: Any) -> None:
        """The newest rows are deleted and others inserted: no other history, and no reset."""
        gone = self.mine[-self.random.randint(1, MOST_REPLACED) :]
        self._deleted = [payload_of(text) for _, text in gone]
        self.journal.write(*map(Deletion, self._deleted))
        self.mine = [row for row in self.mine if row not in gone]
        self.inserts.delete(cursor, gone)
        self.insert(self.inserts.plain(cursor, max(1, len(gone))))
        self._deeds += ["replaced"] * bool(gone)
        self.hold()

    # -- what they are made of ----------------------------------------------------------------

    def insert(self, rows: list[Inserted]) -> None:
        """They belong to this transaction."""
        self._inserted += rows

    def undo(self, cursor: Any, kept: int) -> None:
        """Back to the savepoint `here`, where only `kept` rows were there."""
        cursor.execute("ROLLBACK TO SAVEPOINT here")
        self._undone += self._inserted[kept:]
        del self._inserted[kept:]

    def did(self, deed: str) -> None:
        self._deeds.append(deed)

    def known_ref(self) -> int:
        """Of a row that was there a while ago, or of none."""
        return ref_of(self.random.choice(self.mine)[1] if self.mine else self.name)

    def hold(self) -> None:
        low, high = self.random.choice(HOLDS)
        self.stopped.wait(self._longest_s * self.random.uniform(low, high))

    def pause(self, longest_s: float) -> None:
        self.stopped.wait(self.random.uniform(0, longest_s))

    # -- what is written down -------------------------------------------------------------------

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
        self.journal.write(*(Deed(deed, now_s()) for deed in self._deeds))
        self.mine = (self.mine + self._inserted)[-REMEMBERED_ROWS:]

    def _write(self, outcome: Outcome, began_s: float) -> None:
        """Everything of this transaction, with its outcome as far as it is known."""
        ended_s = None if outcome == "unknown" else now_s()
        self.journal.write(
            *(self._attempt(row, "rolled back", began_s, began_s) for row in self._undone),
            *(self._attempt(row, outcome, began_s, ended_s) for row in self._inserted),
            *(Deletion(payload, outcome) for payload in self._deleted),
        )

    def _attempt(
        self, row: Inserted, outcome: Outcome, began_s: float, ended_s: float | None
    ) -> Attempt:
        row_id, text = row
        return Attempt(self.name, payload_of(text), row_id, began_s, ended_s, outcome)
