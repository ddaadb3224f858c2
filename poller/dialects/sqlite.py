"""SQLite: one writer at a time, so that the order of commits is the order of ids."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.dialects.examined import NOT_TOLD, Examined, Finding, history
from poller.fence import SingleWriter

MADE = sa.text(
    "SELECT type, sql FROM sqlite_master WHERE name = :name AND type IN ('table', 'view')"
)


def examine(connection: Connection, table: sa.Table, key: ColumnElement[Any]) -> Examined:
    kind, made = connection.execute(MADE, {"name": table.name}).one()
    finding, counter = _generator(kind, made, table, key)
    # Tells of a table that was dropped and made anew, and of much else.
    version: ColumnElement[Any] = sa.literal_column(
        "(SELECT schema_version FROM pragma_schema_version)"
    )
    return Examined(
        history(sa.literal(table.name), counter, version),
        SingleWriter(),
        [finding, Finding("SQLite has one writer at a time: ids are committed in their order")],
        _file(connection),
    )


def _generator(
    kind: str, made: str, table: sa.Table, key: ColumnElement[Any]
) -> tuple[Finding, ColumnElement[Any]]:
    """How ids are given out, and the greatest that ever was."""
    if kind == "view":
        return Finding(
            f"{table.name} is a view",
            "its ids may come in any order, and one below the newest is not streamed",
            "watch the table behind it",
        ), NOT_TOLD
    if not re.search(r"\bAUTOINCREMENT\b", made, re.IGNORECASE):
        return Finding(
            f"{table.name} has no AUTOINCREMENT",
            "SQLite gives the id of a deleted newest row to the next one, which is then not "
            "streamed, and ids that start again are not noticed",
            f"make {key.name} INTEGER PRIMARY KEY AUTOINCREMENT",
        ), NOT_TOLD
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    last = sa.select(sequence.c.seq).where(sequence.c.name == table.name).scalar_subquery()
    # Nobody keeps an owner from clearing sqlite_sequence while rows remain.
    top = sa.select(sa.func.max(key)).scalar_subquery()
    greatest = sa.func.max(sa.func.coalesce(last, 0), sa.func.coalesce(top, 0))
    return Finding(f"{table.name}.{key.name} is an AUTOINCREMENT key"), greatest


def _file(connection: Connection) -> str:
    sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    return str(connection.exec_driver_sql(sql).scalar_one())
