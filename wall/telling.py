"""The wall's writes: as a transaction commits, it tells the workers that listen, on all machines.

Only PostgreSQL tells, and only with `ROWCAST_LISTEN`. Otherwise this is just the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from poller import Database, Notifier

T = TypeVar("T")
FEED = "posts"


@dataclass(frozen=True)
class Telling:
    """What writes of the posts go through."""

    database: Database
    notifier: Notifier

    def write(self, work: Callable[[Connection], T]) -> T:
        """As `Database.write`."""

        def told(connection: Connection) -> T:
            done = work(connection)
            self.notifier.notify(connection, FEED)
            return done

        return self.database.write(told)

    def read(self, work: Callable[[Connection], T]) -> T:
        """As `Database.read`."""
        return self.database.read(work)
