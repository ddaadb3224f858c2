"""MariaDB and MySQL: what their catalogues tell of a table."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.after_grace import AfterGrace
from poller.reading.database import raise_if_away
from poller.reading.dialects import mysql_findings as findings
from poller.reading.dialects import mysql_versions as versions
from poller.reading.dialects.facts import NOT_TOLD, Finding, TableFacts, status
from poller.reading.dialects.mysql_fences import DirtyRead, MetadataLocks, locks_of
from poller.reading.dialects.mysql_ground import Ground, ground_of
from poller.reading.fence import Fence, GracePeriod

# InnoDB writes names as those of files: "my-table" is "my@002dtable".
INNODB_ID = """
SELECT table_id FROM information_schema.{}
WHERE name = CONCAT(CAST(CONVERT(COALESCE(:schema, DATABASE()) USING filename) AS BINARY), '/',
  CAST(CONVERT(:table USING filename) AS BINARY))
"""
TABLES = sa.table(
    "tables",
    *map(sa.column, ("table_schema", "table_name", "create_time", "auto_increment")),
    schema="information_schema",
)


def examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[Any],
    grace: GracePeriod,
    *,
    changing: bool = False,
) -> TableFacts:
    """`changing`: the key is a version, which triggers give out."""
    ground = ground_of(connection, table, key.name, of_version=changing)
    if changing:
        told = [*versions.findings_of(connection, table, key.name, ground, grace)]
    else:
        told = [findings.generator(table.name, key.name, ground, grace)]
    if not _is_mariadb(connection):
        told.append(findings.IS_MYSQL)
    innodb_id = _innodb_id(connection, table)
    if ground.engine == "InnoDB" and not innodb_id:
        told.append(findings.NO_INNODB_ID)
    mariadb = _is_mariadb(connection)
    if not changing:
        told += findings.exhausted(table.name, connection.scalar(sa.select(_counter(table))))
    fence, seen = _fence(connection, table, key, grace, ground)
    return TableFacts(
        _status(
            table,
            innodb_id,
            counted=ground.numbered and mariadb and not changing,
            mariadb=mariadb,
        ),
        fence,
        [*told, seen],
        limits=versions.NOT_KNOWN if changing else findings.NOT_KNOWN,
    )


def _status(table: sa.Table, innodb_id: str, *, counted: bool, mariadb: bool) -> sa.Select[Any]:
    """`counted`: the table's counter is that of the key, and told in time."""
    # MariaDB has no lasting id of a server. Its host name is another for each container that is
    # created from the same data.
    server = ["@@server_id"] if mariadb else ["@@server_uuid", "@@server_id"]
    place = sa.func.concat_ws(
        "/",
        *map(sa.literal_column, server),
        sa.func.database(),
        sa.literal(table.name),
    )
    created = _of_catalogue(table, TABLES.c.create_time)
    version = sa.func.concat_ws("/", created, sa.literal(innodb_id))
    counter = _counter(table) if counted else NOT_TOLD
    second: ColumnElement[Any] = sa.literal_column("UNIX_TIMESTAMP()")
    return status(place, version, counter=counter, second=second)


def _counter(table: sa.Table) -> ColumnElement[Any]:
    """The newest id that InnoDB gave out, or was shown by an INSERT or UPDATE."""
    return _of_catalogue(table, TABLES.c.auto_increment - 1)


def _of_catalogue(table: sa.Table, column: ColumnElement[Any]) -> ColumnElement[Any]:
    here = sa.and_(
        TABLES.c.table_schema == (table.schema or sa.func.database()),
        TABLES.c.table_name == table.name,
    )
    return sa.select(column).where(here).scalar_subquery()


def _innodb_id(connection: Connection, table: sa.Table) -> str:
    """InnoDB's own id of the table, another after TRUNCATE, if the user may see it.

    Looked at here and not at every poll: a poll would have to walk InnoDB's list of all tables.
    """
    tables = "innodb_sys_tables" if _is_mariadb(connection) else "innodb_tables"
    try:
        found = connection.scalar(
            sa.text(INNODB_ID.format(tables)), {"schema": table.schema, "table": table.name}
        )
    except DBAPIError as error:
        raise_if_away(error)
        return ""
    return "" if found is None else str(found)


def _is_mariadb(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _fence(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[Any],
    grace: GracePeriod,
    ground: Ground,
) -> tuple[Fence, Finding]:
    if unseen := findings.unseen(table, ground):
        fact, remedy, shown_by = unseen
        return grace, Finding(fact, grace.lacks, remedy, shown_by)
    refusal = _refusal(connection, table, ground)
    if refusal and ground.of_version:
        return DirtyRead(table, key, grace, ground), versions.uncommitted(refusal, grace)
    if refusal:
        first = _clustered_by(connection, table) in (None, key.name)
        told = findings.uncommitted(refusal, ground, grace, rows_first=first)
        return DirtyRead(table, key, grace, ground), told
    locks = MetadataLocks(table, key, ground)
    numbered = ground.numbered
    if ground.of_version:
        numbered = versions.is_numbered(ground, key.name)
    fence = locks if numbered else AfterGrace(grace, locks)
    return fence, findings.LOCKS_SEEN


def _clustered_by(connection: Connection, table: sa.Table) -> str | None:
    """The column by which InnoDB keeps the rows. An INSERT writes there before any index."""
    primary = sa.inspect(connection).get_pk_constraint(table.name, table.schema)
    return next(iter(primary["constrained_columns"]), None)


def _refusal(connection: Connection, table: sa.Table, ground: Ground) -> str:
    """Why metadata locks cannot be read; empty if they can."""
    if ground.variables.get("performance_schema") != "ON":
        return "performance_schema is off"
    if ground.variables.get("performance_schema_metadata_lock_lost", "0") != "0":
        return "performance_schema has lost metadata locks, for want of memory"
    try:
        locks = locks_of(connection, table)
    except DBAPIError as error:
        raise_if_away(error)
        return "this user may not read the tables of performance_schema"
    if locks.shown:
        return ""
    return "the instrument wait/lock/metadata/sql/mdl or its consumer is off"
