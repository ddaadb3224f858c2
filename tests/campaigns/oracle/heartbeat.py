"""How long things take that take no time: the machine's own lag, and the database's.

A process that wants to go on when its time has come, and cannot, was starved by the machine. What
it waits beyond that for the answer to the smallest of questions, the database took.
`… oracle.heartbeat URL JOURNAL`.
"""

import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import Beat, now_s
from tests.campaigns.oracle.table import DatabaseErrors
from tests.harness import sql

BEAT_S = 0.02
WORTH_A_LINE_S = 0.01


def beat(who: str, journal: Journal, ask: Any = lambda: None) -> None:
    """For ever."""
    while True:
        due_s = now_s() + BEAT_S
        time.sleep(BEAT_S)
        ask()
        lag_s = now_s() - due_s
        if lag_s > WORTH_A_LINE_S:
            journal.write(Beat(who, due_s + lag_s, lag_s))


def beat_beside(who: str, journal: Journal) -> None:
    """In a thread: what this process waits for, the others in it included."""
    threading.Thread(target=beat, args=(who, journal), daemon=True).start()


def main(url: str, path: str) -> None:
    journal = Journal(Path(path))
    while True:
        with (
            suppress(*DatabaseErrors),
            sql.connect(url) as connection,
            closing(connection.cursor()) as cursor,
        ):
            beat("database", journal, lambda c=cursor: c.execute("SELECT 1"))
        time.sleep(BEAT_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
