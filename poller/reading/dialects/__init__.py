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
from poller.reading.dialects.facts import Finding, TableFacts, outlying, status
from poller.reading.dialects.key import examine_key
from poller.reading.dialects.product import foreign_product
from poller.reading.dialects.shapes import Inspects
from poller.reading.fence import GracePeriod


def examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[int],
    grace_s: float,
    inspector: Inspects | None = None,
) -> TableFacts:
    """What there is to know of `table`, which exists. `grace_s`: if no proof can be had.
    `inspector`: if the table's shape is known already."""
    findings = examine_key(connection, table, key, inspector or sa.inspect(connection))
    grace = GracePeriod(grace_s, time.monotonic)
    if product := foreign_product(connection):
        examined = _unknown(table, grace, f"this is {product}, with rules of its own")
    else:
        examined = _examine(connection, table, key, grace)
    told = connection.execute(examined.status).one()
    return replace(
        examined,
        findings=[*findings, *examined.findings],
        outlying=outlying(told.rowcast_counter, told.rowcast_given),
    )


def _examine(
    connection: Connection, table: sa.Table, key: ColumnElement[int], grace: GracePeriod
) -> TableFacts:
    match connection.dialect.name:
        case "sqlite":
            return sqlite.examine(connection, table, key, grace)
        case "postgresql":
            return postgresql.examine(connection, table, key, grace)
        case "mysql" | "mariadb":
            return mysql.examine(connection, table, key, grace)
        case dialect:
            return _unknown(table, grace, f"Rowcast does not know {dialect}")


def _unknown(table: sa.Table, grace: GracePeriod, fact: str) -> TableFacts:
    """Whatever its locks show proves nothing here, nor what its catalogue says of a table's age."""
    finding = Finding(
        fact,
        f"{grace.lacks}; a recreated table is not noticed",
        "watch a table of SQLite, PostgreSQL, MariaDB or MySQL",
        "SELECT version()",
    )
    return TableFacts(status(sa.literal(table.name)), grace, [finding])
