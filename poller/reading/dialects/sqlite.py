"""SQLite: one writer at a time, so that the order of commits is the order of ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.gaps import Witness
from poller.ids.ranges import Range
from poller.reading.dialects import sqlite_versions
from poller.reading.dialects.facts import (
    LIMITS,
    NEEDLESS_LATER,
    NOT_TOLD,
    UNKNOWN_LATER,
    Finding,
    TableFacts,
    status,
)
from poller.reading.dialects.file_identity import birth_of
from poller.reading.fence import Evidence, Fence, GracePeriod

AUTOINCREMENT = re.compile(
    r"PRIMARY\s+KEY(\s+ASC)?(\s+ON\s+CONFLICT\s+\w+)?\s+AUTOINCREMENT\b", re.IGNORECASE
)
# The key is SQLite's own rowid if it is an INTEGER PRIMARY KEY that needed no index.
APPLICATION_ID = sa.text("SELECT application_id FROM pragma_application_id")
NO_BIRTH = Finding(
    "the file system does not tell when the database's file was created",
    "a file that is removed and created again while no worker runs may go unnoticed",
    "keep the file on another file system, or give each new file an id of its own, with a random "
    "number: PRAGMA application_id = 805306457",
)
NOT_KNOWN = (
    *LIMITS,
    f"{UNKNOWN_LATER} ids given out again after sqlite_sequence was set back or cleared",
    f"{UNKNOWN_LATER} a backup that was copied into the file and goes beyond the newest id",
    f"{UNKNOWN_LATER} a recreated table that took the same page and the same line of the schema",
    f"{NEEDLESS_LATER} a VACUUM that moved the table to another page",
)
MADE = sa.text("""
SELECT m.type, m.sql, m.rootpage, EXISTS (
    SELECT * FROM pragma_table_info(m.name) c
    WHERE c.name = :key AND c.pk = 1 AND upper(c.type) = 'INTEGER'
  ) AND NOT EXISTS (SELECT * FROM pragma_index_list(m.name) WHERE origin = 'pk') AS rowid
FROM sqlite_master m
WHERE m.name = :name AND m.type IN ('table', 'view')
""")


class SingleWriter:
    """SQLite: no gap can fill.

    There is one writer at a time, and it takes its ids after it took the write lock, which it holds
    to the end of its transaction. So commit order is id order: whoever sees id 7 sees every id
    below it that will ever be. With AUTOINCREMENT no id is given out twice, nor is a version that
    triggers take from a counter row.
    """

    name = "single writer"

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        return None

    def idle(self, evidence: Evidence) -> bool:
        return True

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        return True  # there is none that is open after a pass, unless its limit cut it off

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        return None

    def holders(self, witness: Witness) -> Iterable[str]:
        return ()


def examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[Any],
    grace: GracePeriod,
    *,
    changing: bool = False,
) -> TableFacts:
    """`changing`: the key is a version, which triggers give out."""
    made = connection.execute(MADE, {"name": table.name, "key": key.name}).one()
    if changing and made.type != "view":
        found = sqlite_versions.generator(connection, table, key.name)
        told, numbered, counter = [*found.findings], found.complete, found.last
    else:
        finding, counter = _generator(made, table, key, grace)
        told, numbered = [finding], made.type != "view" and made.rowid
    fence: Fence = grace  # where SQLite does not number the rows, they come in any order
    if numbered:
        told.append(Finding("SQLite has one writer at a time: no row overtakes another"))
        fence = SingleWriter()
    file = file_of(connection)
    if not birth_of(file) and not connection.execute(APPLICATION_ID).scalar():
        told.append(NO_BIRTH)
    return TableFacts(
        _status(table, counter),
        fence,
        told,
        file,
        # A view may go by the time, and a virtual table, which has no page, by anything.
        in_file=bool(file and made.type == "table" and made.rootpage),
        limits=NOT_KNOWN,
    )


def _status(table: sa.Table, counter: ColumnElement[Any]) -> sa.Select[Any]:
    """The table's own line of the schema is new once it is recreated; the schema's version tells
    of that, too, and of much else."""
    application: ColumnElement[Any] = sa.literal_column(
        "(SELECT application_id FROM pragma_application_id)"
    )
    place = sa.literal(table.name) + sa.literal("/") + application
    schema = sa.table("sqlite_master", sa.column("name"), sa.column("type"))
    line = (
        sa.select(sa.literal_column("rowid || '/' || rootpage"))
        .select_from(schema)
        .where(schema.c.name == table.name, schema.c.type.in_(("table", "view")))
        .scalar_subquery()
    )
    version: ColumnElement[Any] = sa.literal_column(
        "(SELECT schema_version FROM pragma_schema_version)"
    )
    second: ColumnElement[Any] = sa.literal_column("CAST(strftime('%s', 'now') AS INTEGER)")
    return status(place, line, version, counter=counter, second=second)


def _generator(
    made: Any, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> tuple[Finding, ColumnElement[Any]]:
    """How ids are given out, and the greatest that ever was."""
    name, remedy = f"{table.name}.{key.name}", "INTEGER PRIMARY KEY AUTOINCREMENT"
    late = (
        f"a row may be missed by open streams if one above it was there {grace.seconds:g} s before"
    )
    shown = f"SELECT sql FROM sqlite_master WHERE name = '{table.name}'"  # noqa: S608 - shown only
    if made.type == "view":
        return Finding(
            f"{table.name} is a view",
            late,
            "watch the table behind it",
            shown,
        ), NOT_TOLD
    if not made.rowid:
        return Finding(
            f"{name} is not an INTEGER PRIMARY KEY, so SQLite does not number its rows",
            f"{late}, and ids that start again are not noticed",
            f"watch a key that is {remedy}",
            shown,
        ), NOT_TOLD
    if not AUTOINCREMENT.search(made.sql):
        return Finding(
            f"{name} has no AUTOINCREMENT",
            "SQLite gives the id of a deleted newest row to the next one, which is then not "
            "streamed, and ids that start again are not noticed",
            f"make {name} {remedy}",
            shown,
        ), NOT_TOLD
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    last = sa.select(sequence.c.seq).where(sequence.c.name == table.name).scalar_subquery()
    # Nobody keeps an owner from clearing sqlite_sequence while rows remain.
    top = sa.select(sa.func.max(key)).scalar_subquery()
    greatest = sa.func.max(sa.func.coalesce(last, 0), sa.func.coalesce(top, 0))
    return Finding(f"{name} is an AUTOINCREMENT key"), greatest


def file_of(connection: Connection) -> str:
    """The path of the database, as SQLite resolved it."""
    sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    return str(connection.exec_driver_sql(sql).scalar_one())
