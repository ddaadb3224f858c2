"""What each kind of database tells of a table: its history, its fence, and what is not promised.

A table's *history* is told by two columns of one row, so that they can be read in the statement
that reads the rows. The *epoch* is a short name for one history: a table that was made anew,
truncated, or restored from elsewhere has another one, and whatever a client knows of the old ids is
void. The *counter* is the greatest id that the database ever gave out; one that falls means that
ids started again. A third, the *version*, only raises a suspicion: when it changes, the newest rows
are compared with what the table shows now.

| database | epoch | counter | version |
|---|---|---|---|
| SQLite | the file (device, inode) and the table's name | `sqlite_sequence`, or the greatest id | of the schema |
| PostgreSQL | database, timeline, the table's oid and file | its sequence, or the greatest id | |
| MariaDB, MySQL | server, database, the table's creation time | `auto_increment` (MariaDB) | |
"""  # noqa: E501 - a table

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.dialects import mysql, postgresql, sqlite
from poller.dialects.examined import Examined, Finding, history
from poller.fence import GracePeriod

__all__ = ["Examined", "Finding", "examine"]


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[int], grace_s: float = 5.0
) -> Examined:
    """What there is to know of `table`, which exists. `grace_s`: where no proof can be had."""
    grace = GracePeriod(grace_s, time.monotonic)
    match connection.dialect.name:
        case "sqlite":
            return sqlite.examine(connection, table, key)
        case "postgresql":
            return postgresql.examine(connection, table, key, grace)
        case "mysql" | "mariadb":
            return mysql.examine(connection, table, key, grace)
        case dialect:
            unknown = Finding(
                f"{dialect} is not known here",
                f"{grace.lacks}; a table made anew is not noticed",
                "watch a table of SQLite, PostgreSQL, MariaDB or MySQL",
            )
            return Examined(history(sa.literal(table.name)), grace, [unknown])
