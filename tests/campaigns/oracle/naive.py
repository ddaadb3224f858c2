"""The naive poller, beside ours in the same run: `… oracle.naive URL JOURNAL`.

It asks for `id > last ORDER BY id`, as most programs do. It is spared what is not the point here:
it comes back when the database does, and starts again when the ids do.
"""

import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import NaiveRow, payload_of
from tests.campaigns.oracle.table import DatabaseErrors
from tests.harness import sql

RECONNECT_S = 0.2


class Naive:
    def __init__(self, url: str, journal: Journal, interval_s: float) -> None:
        self._url = url
        self._journal = journal
        self._interval_s = interval_s
        self._last = 0

    def run(self) -> None:
        while True:
            with suppress(*DatabaseErrors), sql.connect(self._url) as connection:
                while True:
                    self._poll(connection)
                    time.sleep(self._interval_s)
            time.sleep(RECONNECT_S)

    def _poll(self, connection: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT COALESCE(MAX(id), 0) FROM posts")
            if int(cursor.fetchone()[0]) < self._last:
                self._last = 0
            cursor.execute(f"SELECT id, body FROM posts WHERE id > {self._last} ORDER BY id")
            rows = [NaiveRow(int(row_id), payload_of(body)) for row_id, body in cursor.fetchall()]
        connection.commit()  # the next poll needs a snapshot of its own
        self._journal.write(*rows)
        if rows:
            self._last = rows[-1].row_id


def main(url: str, journal: str, interval_s: str) -> None:
    Naive(url, Journal(Path(journal)), float(interval_s)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
