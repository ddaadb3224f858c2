"""What each kind of database tells of a table: its history, its fence, and what is not promised.

A table's *history* is told by columns of one row, so that they can be read in the statement that
reads the rows. `polling/identity.py` has the argument that these are enough. The *place* is where
the table is. The *lasting* part is another once it is recreated; the *passing* part also once it is
rewritten or altered. All three make the epoch in every event's id. The *counter* is the greatest id
that the database ever gave out.

| database | place | lasting | passing | counter |
|---|---|---|---|---|
| SQLite | the file and its birth, name | its line in the schema | the schema's version | (1) |
| PostgreSQL | cluster, timeline, database, oid | the sequence's file | the table's, default | (2) |
| MariaDB, MySQL | server, database, name | creation time, InnoDB's id | – | `auto_increment` |

(1) `sqlite_sequence`, or the greatest id; (2) the sequence, or the greatest id.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects import mysql, postgresql, sqlite
from poller.reading.dialects.facts import Finding, TableFacts, outlying, status
from poller.reading.dialects.key import examine_key
from poller.reading.dialects.product import foreign_product
from poller.reading.dialects.shapes import Inspects
from poller.reading.dialects.versions import key_findings
from poller.reading.fence import GracePeriod


def examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[int],
    grace_s: float,
    inspector: Inspects | None = None,
    row_key: Sequence[str] = (),
) -> TableFacts:
    """What there is to know of `table`, which exists. `grace_s`: if no proof can be had.
    `inspector`: if the table's shape is known already. `row_key`: what tells its rows apart, if
    they may change; `key` is then their version."""
    inspector = inspector or sa.inspect(connection)
    findings = examine_key(connection, table, key, inspector)
    if row_key:
        findings += key_findings(inspector, table, row_key)
    grace = GracePeriod(grace_s, time.monotonic)
    if product := foreign_product(connection):
        examined = _unknown(table, grace, f"this is {product}, with rules of its own")
    else:
        examined = _examine(connection, table, key, grace, changing=bool(row_key))
    told = connection.execute(examined.status).one()
    return replace(
        examined,
        findings=[*findings, *examined.findings],
        outlying=outlying(told.rowcast_counter, told.rowcast_given),
    )


def _examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[int],
    grace: GracePeriod,
    *,
    changing: bool,
) -> TableFacts:
    match connection.dialect.name:
        case "sqlite":
            return sqlite.examine(connection, table, key, grace, changing=changing)
        case "postgresql":
            return postgresql.examine(connection, table, key, grace, changing=changing)
        case "mysql" | "mariadb":
            return mysql.examine(connection, table, key, grace, changing=changing)
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
