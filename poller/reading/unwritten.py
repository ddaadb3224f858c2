"""Was nothing written since a poll that came to the end? Then it need not ask for rows.

Only SQLite tells, and it takes a few microseconds: `PRAGMA data_version` is another number once any
other connection, of this process or another, has committed to the file: rows, a refill within one
transaction, a changed schema, VACUUM, a backup that SQLite's own interface writes.

Safety. A poll asks for that *stamp* first, then for the rows. If the next poll is told the same
stamp, nothing was committed in between, so its statement would be answered from the same state of
the file as the one before: by the same history and counters, and by no row, if the one before was
not cut off and all its rows are in the cursor. So the statement is left out, and its answer taken
from the one before. What the stamp says nothing of is excluded:

- *This connection's own writes.* Connections of polls only read; what the application writes goes
  through others (`kept.py`). Another connection, or another use of one that was given back, has
  another stamp.
- *Another file at the path, or none.* The stamp holds what `stat` tells of the path, and while this
  connection has the file open, no other file gets its inode. Size and times are in it, too, for who
  writes into the file without SQLite, as `cp` does.
- *Other files*, if something is attached to the connection; and what no file tells, as a view that
  shows rows whose time has come, or a virtual table: `TableFacts.in_file` is false then.
- *Gaps*, whose fences go by the time; a pass that has to be thorough; the first pass after a fault,
  a look at the table or a reset. Then all is asked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from poller.ids.cursor import Cursor
from poller.reading.snapshot import Reading
from poller.wire.row import is_cut_off

ALONE = "rowcast_alone"  # in the info of a connection: whether its file is all that it reads
OTHERS = """
SELECT (SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp'))
     + (SELECT count(*) FROM sqlite_temp_master)
"""
WRITTEN = "SELECT data_version, CAST(strftime('%s', 'now') AS INTEGER) FROM pragma_data_version"


class Stamp(NamedTuple):
    """`told` is another once something was written; `second` is that of `Reading`."""

    told: tuple[object, ...]
    second: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading that came to the end, the position after it, and the stamp before it."""

    stamp: Stamp
    position: int
    reading: Reading

    def again(self, stamp: Stamp, cursor: Cursor) -> Reading | None:
        """The same reading as it would be now; None if it has to be asked for."""
        if stamp.told != self.stamp.told or cursor.gaps or cursor.position != self.position:
            return None
        return replace(self.reading, rows=[], second=stamp.second)


def seen_after(stamp: Stamp | None, cursor: Cursor, reading: Reading, limit: int) -> Seen | None:
    """What a reading leaves to the next one; `stamp` was told before it."""
    if stamp is None or is_cut_off(reading.rows, limit):
        return None
    newest = reading.rows[-1].id if reading.rows else 0
    return Seen(stamp, max(cursor.position, newest), reading)


def stamp_of(connection: Connection, file: str) -> Stamp | None:
    """That of the moment; None if it cannot be told, or not now."""
    driver = connection.connection.dbapi_connection
    try:
        if ALONE not in connection.info:
            connection.info[ALONE] = not connection.exec_driver_sql(OTHERS).scalar()
        if driver is None or not connection.info[ALONE]:
            return None
        cursor = driver.cursor()
        cursor.execute(WRITTEN)
        ((version, second),) = cursor.fetchall()
        stat = os.stat(file)  # noqa: PTH116 - at each poll
    except (SQLAlchemyError, OSError, *_errors_of(connection)):
        return None  # the statement itself will say what is wrong
    of_file = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
    return Stamp((connection, version, *of_file), second)


def _errors_of(connection: Connection) -> tuple[type[Exception]]:
    """Those of the driver."""
    error: type[Exception] = connection.dialect.loaded_dbapi.Error
    return (error,)
