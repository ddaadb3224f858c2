"""MariaDB and MySQL: what their catalogues tell of a table."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.database import raise_if_away
from poller.reading.dialects import mysql_findings as findings
from poller.reading.dialects.facts import NOT_TOLD, Finding, TableFacts, status
from poller.reading.dialects.mysql_fences import LOCKS, DirtyRead, MetadataLocks
from poller.reading.fence import Fence, GracePeriod

VARIABLES = sa.text("""
SHOW VARIABLES WHERE variable_name IN
  ('innodb_autoinc_lock_mode', 'read_only', 'wsrep_on', 'performance_schema',
   'auto_increment_increment')
""")
STATUS = sa.text("""
SHOW GLOBAL STATUS WHERE variable_name IN
  ('Slaves_running', 'Performance_schema_metadata_lock_lost')
""")
# Apart: joined, they take ten times as long.
TABLE = sa.text("""
SELECT table_type, engine FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table
""")
COLUMN = sa.text("""
SELECT extra FROM information_schema.columns
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table AND column_name = :key
""")
# InnoDB writes names as those of files: "my-table" is "my@002dtable".
INNODB_ID = """
SELECT table_id FROM information_schema.{}
WHERE name = CONCAT(CAST(CONVERT(COALESCE(:schema, DATABASE()) USING filename) AS BINARY), '/',
  CAST(CONVERT(:table USING filename) AS BINARY))
"""


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> TableFacts:
    names = {"schema": table.schema, "table": table.name}
    kind, engine = connection.execute(TABLE, names).one()
    extra = connection.scalar(COLUMN, {**names, "key": key.name})
    generated = "auto_increment" in (extra or "").lower()
    told = [findings.generator(f"{table.name}.{key.name}", generated=generated)]
    if not _is_mariadb(connection):
        told.append(findings.IS_MYSQL)
    innodb_id = _innodb_id(connection, table)
    if engine == "InnoDB" and not innodb_id:
        told.append(findings.NO_INNODB_ID)
    mariadb = _is_mariadb(connection)
    fence, seen = _fence(connection, table, key, grace, (kind, engine))
    return TableFacts(
        _status(table, innodb_id, counted=generated and mariadb, mariadb=mariadb),
        fence,
        [*told, seen],
        limits=findings.NOT_KNOWN,
    )


def _status(table: sa.Table, innodb_id: str, *, counted: bool, mariadb: bool) -> sa.Select[Any]:
    """`counted`: the table's counter is that of the key, and told in time."""
    names = ("table_schema", "table_name", "create_time", "auto_increment")
    tables = sa.table("tables", *(sa.column(name) for name in names), schema="information_schema")
    here = sa.and_(
        tables.c.table_schema == (table.schema or sa.func.database()),
        tables.c.table_name == table.name,
    )
    # MariaDB has no lasting id of a server. Its host name is another for each container that is
    # created from the same data.
    server = ["@@server_id"] if mariadb else ["@@server_uuid", "@@server_id"]
    place = sa.func.concat_ws(
        "/",
        *map(sa.literal_column, server),
        sa.func.database(),
        sa.literal(table.name),
    )
    version = sa.func.concat_ws(
        "/",
        sa.select(tables.c.create_time).where(here).scalar_subquery(),
        sa.literal(innodb_id),
    )
    counter = sa.select(tables.c.auto_increment - 1).where(here).scalar_subquery()
    minute: ColumnElement[Any] = sa.literal_column("UNIX_TIMESTAMP() DIV 60")
    return status(place, version, counter=counter if counted else NOT_TOLD, minute=minute)


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
    made: tuple[str, str | None],
) -> tuple[Fence, Finding]:
    """`made`: the table's kind and engine."""
    told = [*connection.execute(VARIABLES), *connection.execute(STATUS)]
    variables = {str(name): str(value) for name, value in told}
    if unseen := findings.unseen(table, *made, variables):
        fact, remedy = unseen
        return grace, Finding(fact, grace.lacks, remedy)
    if not (refusal := _refusal(connection, table, variables)):
        return MetadataLocks(table, key), findings.LOCKS_SEEN
    return DirtyRead(key, grace), findings.uncommitted(refusal, variables, grace)


def _refusal(connection: Connection, table: sa.Table, variables: dict[str, str]) -> str:
    """Why metadata locks cannot be read; empty if they can."""
    if variables.get("performance_schema") != "ON":
        return "performance_schema is off"
    if variables.get("Performance_schema_metadata_lock_lost", "0") != "0":
        return "performance_schema has lost metadata locks, for want of memory"
    try:
        locks = connection.execute(LOCKS, {"schema": table.schema, "table": table.name}).all()
    except DBAPIError as error:
        raise_if_away(error)
        return "this user may not read the tables of performance_schema"
    enabled = bool(locks) and locks[0].enabled
    return "" if enabled else "the instrument wait/lock/metadata/sql/mdl or its consumer is off"
