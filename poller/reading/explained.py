"""What to tell a stranger of a failed poll."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from poller.reading.database import DatabaseTimeout
from poller.reading.description import TableError


def explain(error: Exception) -> str:
    """A sentence with no SQL, no path and no address."""
    if isinstance(error, TableError):
        return error.bare
    if isinstance(error, DatabaseTimeout):
        return f"the database gave {error}"
    if isinstance(error, AssertionError):  # SQLAlchemy's, at a version() that it cannot read
        return "the database is none that Rowcast knows; the log says what it calls itself"
    if isinstance(error, SQLAlchemyError):
        return "the database is away or refuses the query; the log says why"
    return "the poll fails; the log says why"
