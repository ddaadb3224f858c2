"""The gate before a look at an SQLite table: was anything written since the last one?

It costs a few microseconds, and a look a thousand times as much. `data_version` tells of what other
connections committed; it means something only within one connection, and says nothing of what this
one wrote, as an application does through the same `Database`: that is told by `total_changes()`
and, where the schema was changed, by `schema_version`. Other databases tell nothing as cheap.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from poller.reading.database import Database
from poller.reading.dialects.file_identity import file_identity

MARK = "rowcast_gate"  # in the info of a connection: tells it from others
WRITTEN = text(
    "SELECT (SELECT data_version FROM pragma_data_version), total_changes(), "
    "(SELECT schema_version FROM pragma_schema_version)"
)
FILE = text("SELECT file FROM pragma_database_list WHERE name = 'main'")


class Gate:
    """That of one feed. Where the database is no SQLite it is always open."""

    def __init__(self, database: Database) -> None:
        self._is_sqlite = database.is_sqlite
        self._passed: object = None
        self._file = ""
        self._identity = ""

    def file_was_swapped(self) -> bool:
        """Whether another file is at the database's path now, or none."""
        if not self._file:
            return False
        try:
            same = file_identity(self._file) == self._identity
        except OSError:
            same = False
        if not same:
            self._file = ""
        return not same

    def written(self, connection: Connection) -> object:
        """What is another once something was written; None if the database does not tell."""
        if not self._is_sqlite:
            return None
        if not self._file and (file := connection.scalar(FILE)):
            self._file, self._identity = str(file), file_identity(str(file))
        mark = connection.info.setdefault(MARK, object())
        return mark, *connection.execute(WRITTEN).one()

    def moved(self, written: object) -> bool:
        """Whether something was written since the look that passed last."""
        return written != self._passed

    def passed(self, written: object) -> None:
        """A look succeeded, before which this was told."""
        self._passed = written

    def forget(self) -> None:
        """The next look is taken whatever was written."""
        self._passed = None
