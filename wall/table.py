"""Whether there is a table for posts that the wall can use, as its feed found out."""

from __future__ import annotations

from models.post import create_tables
from poller import Database, TableError

NO_TABLE = "The wall has no table for its posts. Its log says why, and what to do."


class Table:
    """One per application, hence per worker."""

    def __init__(self) -> None:
        self.is_unusable = False

    def prepare(self, database: Database) -> None:
        """Makes the table, or brings it up to date. Raises as `create_tables()`; the log has the
        words."""
        self.is_unusable = False
        try:
            create_tables(database)
        except TableError:
            self.is_unusable = True
            raise
