"""Which kind of feed fits a table, for whoever did not say it: the commands.

A table with an integer key is followed row by row. Any other table or view is watched by window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from poller.reading.database import Database
from poller.reading.description import Describer, TableError, Wanted, own_types_expected
from poller.reading.windows.choice import DEFAULT_ROWS, choice
from poller.watch import Watch


@dataclass(frozen=True, slots=True)
class Fit:
    """`watch` is what fits; `because` says why it is by window where nobody asked for one."""

    watch: Watch
    because: str = ""


def fitting(
    database: Database, watch: Watch, window: int | None = None, order_by: str | None = None
) -> Fit:
    """What was asked for, or what fits. A table that is not there or has no such column stays as it
    was asked for: its first poll says what is wrong. Raises what `Database.read` raises."""
    if watch.version is not None or watch.window is not None:
        return Fit(watch)

    def work(connection: Connection) -> Fit:
        because = ""
        if window is None and order_by is None:
            try:
                Describer(watch.source, Wanted(watch.key)).describe(connection)
            except TableError as error:
                because = str(error)
            else:
                return Fit(watch)
        named = (watch.key,) if isinstance(watch.key, str) else tuple(watch.key or ())
        try:
            chosen = choice(connection, watch.source, named)
        except (TableError, SQLAlchemyError):
            return Fit(watch)
        by = replace(
            watch,
            key=chosen.key,
            window=window or DEFAULT_ROWS,
            order_by=order_by or chosen.order_by,
        )
        return Fit(by, because)

    with own_types_expected():
        return database.read(work)
