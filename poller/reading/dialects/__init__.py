"""What each kind of database tells of a table: its history, its fence, and what is not promised.

A table's *history* is told by columns of one row, so that they can be read in the statement that
reads the rows. The *place* is where it is: a table in another place is another table, and
everything a client knows of the old ids is void. The *version* changes when the table is recreated
or truncated, but also when it is altered. So a running poller compares the newest rows before it
takes it for another history. Both together make the *epoch*, the short name in every event's id.
The *counter* is the greatest id that the database ever gave out; one that falls means that ids
started again.

| database | place | version | counter |
|---|---|---|---|
| SQLite | the file (device, inode), name | the schema's | `sqlite_sequence`, or greatest id |
| PostgreSQL | database, timeline, the table's oid | its file's number | sequence, or greatest id |
| MariaDB, MySQL | server, database, name | creation time, InnoDB's id | `auto_increment` |
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
    examined = examine_but_for_key(connection, table, key, GracePeriod(grace_s, time.monotonic))
    return replace(examined, findings=[*findings, *examined.findings])


def examine_but_for_key(
    connection: Connection, table: sa.Table, key: ColumnElement[int], grace: GracePeriod
) -> TableFacts:
    """As `examine()`, without what key.py finds."""
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
