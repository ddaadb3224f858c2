"""The wall's writes: as a transaction commits, it tells the workers that listen, on all machines.

Only PostgreSQL tells, and only with `ROWCAST_LISTEN`. Otherwise this is just the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Flask, current_app
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

        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001

        def told(connection: Connection) -> T:  # on SQLite in a thread, which knows no application
            done = work(connection)
            self.notifier.notify(connection, FEED, app=app)
            return done

        return self.database.write(told)

    def read(self, work: Callable[[Connection], T]) -> T:
        """As `Database.read`."""
        return self.database.read(work)
