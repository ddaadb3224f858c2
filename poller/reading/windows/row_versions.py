"""The gate before a look at a PostgreSQL table: are the rows of the window the same versions as at
the last look?

A row version is where it lies and which transaction wrote it (`ctid`, `xmin`): an UPDATE writes
another one. The server folds a hash of both over the window's rows, which takes it half as long as
sending them, and us a tenth as long as reading them. It is compared with what was folded from the
rows of the last look themselves, each of which brought its own: read before them, in a statement of
its own, it could be of another moment, and a row that was there for just that moment would stay.

Only for ordinary tables: a partition has places of its own, a view none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects.facts import quoted_name
from poller.reading.dialects.product import foreign_product
from poller.reading.windows.look import Raw

FIRST_WITH_HASHES = (14,)  # of a ctid
KIND = sa.text(
    "SELECT c.relkind = 'r' AND a.amname = 'heap' FROM pg_class c "
    "LEFT JOIN pg_am a ON a.oid = c.relam WHERE c.oid = to_regclass(:name)"
)
# An ALTER TABLE may change what is read of a row and leave the row as it lies.
DEFINITION = (
    "(SELECT bit_xor(hashtidextended(ctid, CAST(CAST(xmin AS text) AS bigint))) "
    "FROM pg_attribute WHERE attrelid = to_regclass({}))"
)
VERSION: ColumnElement[Any] = sa.literal_column(
    "hashtidextended(ctid, CAST(CAST(xmin AS text) AS bigint))"
)
LABEL = "rowcast_version"


def version_of(connection: Connection, table: sa.Table) -> ColumnElement[Any] | None:
    """A hash of each row's version; None where there is none."""
    if connection.dialect.name != "postgresql" or foreign_product(connection):
        return None
    if (connection.dialect.server_version_info or ()) < FIRST_WITH_HASHES:
        return None
    ordinary = connection.scalar(KIND, {"name": quoted_name(connection, table)})
    return VERSION.label(LABEL) if ordinary else None


def folded_by_server(
    connection: Connection, table: sa.Table, window: sa.Select[Any]
) -> sa.Select[Any]:
    """Asks for all versions of a window, which selects each row's, in one number; and for another
    number, which tells how the table is defined."""
    name = sa.literal(quoted_name(connection, table)).compile(
        dialect=connection.dialect, compile_kwargs={"literal_binds": True}
    )
    definition: ColumnElement[Any] = sa.literal_column(DEFINITION.format(name))
    return sa.select(sa.func.bit_xor(window.subquery("rowcast_window").c[LABEL]), definition)


def folded(rows: Sequence[Raw]) -> int | None:
    """The first of these, of rows whose versions come first."""
    return reduce(xor, (raw[0] for raw in rows)) if rows else None
