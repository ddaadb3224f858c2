"""A table's history: what tells it from another, and how far it has come.

The *epoch* is a short name for one history of a table. A table that was made anew, truncated, or
restored from elsewhere has another one, and whatever a client knows of the old ids is void. The
*counter* is the greatest id that the database ever gave out; one that falls means that ids started
again. Both are columns of one row, so that they can be read in the statement that reads the rows.

| database | epoch | counter |
|---|---|---|
| SQLite | the file (device, inode) and the table's name | `sqlite_sequence`, or the greatest id |
| PostgreSQL | database, timeline, the table's oid and file | its sequence, or the greatest id |
| MariaDB, MySQL | server, database, the table's creation time | `auto_increment` (MariaDB only) |
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

Columns = tuple[ColumnElement[Any], ColumnElement[Any]]
NOT_TOLD: ColumnElement[Any] = sa.null()


@dataclass(frozen=True, slots=True)
class History:
    """`status` selects one row: what the epoch is made of, and the counter or null.

    `file` is the database's where it is one; `notes` say what is not noticed, in words.
    """

    status: sa.Select[Any]
    file: str | None = None
    notes: list[str] = field(default_factory=list)

    def epoch(self, told: Any) -> str:
        """Six hexadecimal digits, from what `status` told."""
        return hashlib.blake2s(f"{told}{_inode(self.file)}".encode(), digest_size=3).hexdigest()


UNKNOWN = History(sa.select())


def of(connection: Connection, table: sa.Table, key: ColumnElement[Any]) -> History:
    """How to read the history of `table`, which exists, through this kind of database."""
    notes: list[str] = []
    dialect = connection.dialect.name
    if dialect == "sqlite":
        epoch, counter = _sqlite(connection, table, key, notes)
    elif dialect == "postgresql":
        epoch, counter = _postgresql(connection, table, key, notes)
    elif dialect in ("mysql", "mariadb"):
        epoch, counter = _mysql(connection, table, notes)
    else:
        notes.append(f"{dialect} is not known here: a table made anew is not noticed")
        epoch, counter = sa.literal(table.name), NOT_TOLD
    status = sa.select(epoch.label("rowcast_epoch"), counter.label("rowcast_counter"))
    return History(status, _file(connection) if dialect == "sqlite" else None, notes)


def _sqlite(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], notes: list[str]
) -> Columns:
    sql = connection.scalar(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"),
        {"name": table.name},
    )
    if "AUTOINCREMENT" not in (sql or "").upper():
        notes.append(
            f"{table.name} has no AUTOINCREMENT: SQLite gives the id of a deleted newest row "
            "to the next one, which is then not streamed"
        )
        return sa.literal(table.name), NOT_TOLD
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    last = sa.select(sequence.c.seq).where(sequence.c.name == table.name).scalar_subquery()
    # Nobody keeps an owner from clearing sqlite_sequence while rows remain.
    top = sa.select(sa.func.max(key)).scalar_subquery()
    greatest = sa.func.max(sa.func.coalesce(last, 0), sa.func.coalesce(top, 0))
    return sa.literal(table.name), greatest


def _postgresql(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], notes: list[str]
) -> Columns:
    named = connection.dialect.identifier_preparer.format_table(table)
    oid, sequence = connection.execute(
        sa.text("SELECT to_regclass(:t)::oid::bigint, pg_get_serial_sequence(:t, :c)"),
        {"t": named, "c": key.name},
    ).one()
    # By oid, since the name may be gone: a dropped table has no file, which is another history and
    # not an error of this query. The timeline is another after a failover.
    epoch = sa.func.concat_ws(
        "/",
        sa.literal_column("(SELECT oid FROM pg_database WHERE datname = current_database())"),
        sa.literal_column(
            "CASE WHEN pg_is_in_recovery() THEN 'standby'"
            " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
        ),
        sa.literal_column(f"{oid:d}"),
        sa.func.pg_relation_filenode(sa.literal_column(f"{oid:d}::oid")),
    )
    readable = sequence and connection.scalar(
        sa.text("SELECT has_sequence_privilege(:s, 'SELECT')"), {"s": sequence}
    )
    if not readable:
        notes.append(
            f"{table.name} has no sequence that can be read: a restart of its ids is not noticed"
        )
        return epoch, NOT_TOLD
    last = sa.literal_column(
        f"(SELECT last_value - (NOT is_called)::int FROM {sequence})",  # noqa: S608 - quoted
        sa.BigInteger,
    )
    # A sequence knows nothing of ids that were set by hand, as an import does.
    return epoch, sa.func.greatest(last, sa.select(sa.func.max(key)).scalar_subquery())


def _mysql(connection: Connection, table: sa.Table, notes: list[str]) -> Columns:
    names = ("table_schema", "table_name", "create_time", "auto_increment")
    tables = sa.table("tables", *(sa.column(name) for name in names), schema="information_schema")
    here = sa.and_(
        tables.c.table_schema == (table.schema or sa.func.database()),
        tables.c.table_name == table.name,
    )
    epoch = sa.func.concat_ws(
        "/",
        sa.literal_column("@@hostname"),
        sa.literal_column("@@server_id"),
        sa.func.database(),
        sa.select(tables.c.create_time).where(here).scalar_subquery(),
    )
    if not getattr(connection.dialect, "is_mariadb", False):
        # MySQL 8 answers auto_increment from statistics that may be a day old.
        notes.append(f"{table.name} is on MySQL: a restart of its ids is not noticed")
        return epoch, NOT_TOLD
    return epoch, sa.select(tables.c.auto_increment - 1).where(here).scalar_subquery()


def _file(connection: Connection) -> str:
    sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    return str(connection.exec_driver_sql(sql).scalar_one())


def _inode(path: str | None) -> str:
    """Which file this is: a swapped one differs. Raises OSError where it is gone."""
    if path is None:
        return ""
    stat = Path(path).stat()
    return f"/{stat.st_dev}/{stat.st_ino}"
