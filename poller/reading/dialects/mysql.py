"""MariaDB and MySQL: what their catalogues tell of a table."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

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
INNODB_IDS = """
SELECT t.table_name, i.table_id FROM information_schema.tables t JOIN information_schema.{} i
  ON i.name = CONCAT(CAST(CONVERT(t.table_schema USING filename) AS BINARY), '/',
    CAST(CONVERT(t.table_name USING filename) AS BINARY))
WHERE t.table_schema = DATABASE()
"""


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> TableFacts:
    names = {"schema": table.schema, "table": table.name}
    kind, engine = connection.execute(TABLE, names).one()
    extra = connection.scalar(COLUMN, {**names, "key": key.name})
    generated = "auto_increment" in (extra or "").lower()
    made = Made(kind, engine, generated, _innodb_id(connection, table))
    return facts_of(table, key, grace, made, Server(connection, table))


class Made(NamedTuple):
    """How a table is made: its kind and engine, whether its key is AUTO_INCREMENT, and InnoDB's own
    id of it, empty if that cannot be seen."""

    kind: str
    engine: str | None
    generated: bool
    innodb_id: str


class Server:
    """What the server tells whatever the table; `table` is any, to try with whether its locks can
    be seen."""

    def __init__(self, connection: Connection, table: sa.Table) -> None:
        told = [*connection.execute(VARIABLES), *connection.execute(STATUS)]
        self.variables = {str(name): str(value) for name, value in told}
        self.is_mariadb = _is_mariadb(connection)
        self._connection, self._table = connection, table

    @cached_property
    def refusal(self) -> str:
        """Why metadata locks cannot be read; empty if they can."""
        return _refusal(self._connection, self._table, self.variables)


def facts_of(
    table: sa.Table, key: ColumnElement[Any], grace: GracePeriod, made: Made, server: Server
) -> TableFacts:
    """What follows from what the catalogue tells."""
    told = [findings.generator(f"{table.name}.{key.name}", generated=made.generated)]
    if not server.is_mariadb:
        told.append(findings.IS_MYSQL)
    if made.engine == "InnoDB" and not made.innodb_id:
        told.append(findings.NO_INNODB_ID)
    counted = made.generated and server.is_mariadb
    fence, seen = _fence(table, key, grace, made, server)
    return TableFacts(_status(table, made.innodb_id, counted=counted), fence, [*told, seen])


def _status(table: sa.Table, innodb_id: str, *, counted: bool) -> sa.Select[Any]:
    """`counted`: the table's counter is that of the key, and told in time."""
    names = ("table_schema", "table_name", "create_time", "auto_increment")
    tables = sa.table("tables", *(sa.column(name) for name in names), schema="information_schema")
    here = sa.and_(
        tables.c.table_schema == (table.schema or sa.func.database()),
        tables.c.table_name == table.name,
    )
    place = sa.func.concat_ws(
        "/",
        sa.literal_column("@@hostname"),
        sa.literal_column("@@server_id"),
        sa.func.database(),
        sa.literal(table.name),
    )
    version = sa.func.concat_ws(
        "/",
        sa.select(tables.c.create_time).where(here).scalar_subquery(),
        sa.literal(innodb_id),
    )
    counter = sa.select(tables.c.auto_increment - 1).where(here).scalar_subquery()
    return status(place, version, counter if counted else NOT_TOLD)


def innodb_ids(connection: Connection) -> dict[str, str]:
    """InnoDB's own id of each table of the connection's database, if the user may see them."""
    tables = "innodb_sys_tables" if _is_mariadb(connection) else "innodb_tables"
    try:
        found = connection.execute(sa.text(INNODB_IDS.format(tables))).all()
    except DBAPIError as error:
        raise_if_away(error)
        return {}
    return {str(name): str(number) for name, number in found}


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
    table: sa.Table, key: ColumnElement[Any], grace: GracePeriod, made: Made, server: Server
) -> tuple[Fence, Finding]:
    if unseen := findings.unseen(table, made.kind, made.engine, server.variables):
        fact, remedy = unseen
        return grace, Finding(fact, grace.lacks, remedy)
    if not server.refusal:
        return MetadataLocks(table, key), findings.LOCKS_SEEN
    return DirtyRead(key, grace), findings.uncommitted(server.refusal, server.variables, grace)


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
