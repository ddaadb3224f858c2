"""What each kind of database tells of a table: its history, its fence, and what is not promised.

A table's *history* is told by columns of one row, so that they can be read in the statement that
reads the rows. `polling/identity.py` has the argument that these are enough. The *place* is where
the table is. The *lasting* part is another once it is recreated; the *passing* part also once it is
rewritten or altered. All three make the epoch in every event's id. The *counter* is the greatest id
that the database ever gave out.

| database | place | lasting | passing | counter |
|---|---|---|---|---|
| SQLite | the file and its birth, name | its line in the schema | the schema's version | (1) |
| PostgreSQL | cluster, timeline, database, oid | the sequence's file | the table's files | (2) |
| MariaDB, MySQL | server, database, name | creation time, InnoDB's id | – | `auto_increment` |

(1) `sqlite_sequence`, or the greatest id; (2) the sequence, or the greatest id.
"""

from __future__ import annotations

import time
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects import mysql, postgresql, sqlite
from poller.reading.dialects.facts import Finding, TableFacts, status
from poller.reading.dialects.key import examine_key
from poller.reading.fence import GracePeriod


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[int], grace_s: float
) -> TableFacts:
    """What there is to know of `table`, which exists. `grace_s`: if no proof can be had."""
    findings = examine_key(connection, table, key)
    examined = _examine(connection, table, key, GracePeriod(grace_s, time.monotonic))
    return replace(examined, findings=[*findings, *examined.findings])


def _examine(
    connection: Connection, table: sa.Table, key: ColumnElement[int], grace: GracePeriod
) -> TableFacts:
    match connection.dialect.name:
        case "sqlite":
            return sqlite.examine(connection, table, key)
        case "postgresql":
            return postgresql.examine(connection, table, key, grace)
        case "mysql" | "mariadb":
            return mysql.examine(connection, table, key, grace)
        case dialect:
            unknown = Finding(
                f"Rowcast does not know {dialect}",
                f"{grace.lacks}; a recreated table is not noticed",
                "watch a table of SQLite, PostgreSQL, MariaDB or MySQL",
            )
            return TableFacts(status(sa.literal(table.name)), grace, [unknown])
