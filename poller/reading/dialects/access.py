"""What this user may do: whether the database refused for want of a privilege."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

INSUFFICIENT_PRIVILEGE = "42501"  # an SQLSTATE of PostgreSQL
ACCESS_DENIED = (1044, 1142, 1143)  # of MariaDB and MySQL: to a database, a table, a column


def is_refused(error: DBAPIError) -> bool:
    """Whether this user may not do it, however often it tries."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE or code in ACCESS_DENIED
