"""Whether an index leads to the rows of a filter: where none does, a stream that was away for long
has the database walk over the rows of all others. Nothing is lost by that, but time."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.description import Description
from poller.reading.dialects.facts import quoted_name
from poller.reading.dialects.key import index_columns

HAVE_PRIMARY_KEY = ("mysql", "mariadb", "sqlite")  # in each index, behind its columns


def slow_filters(connection: Connection, description: Description) -> list[str]:
    """For each filter without an index: what is slow, and the SQL that mends it."""
    table, key = description.table, description.key
    indexes = index_columns(sa.inspect(connection), table)
    ends_with_key = connection.dialect.name in HAVE_PRIMARY_KEY and key.primary_key
    lacking = [
        one.name
        for one in description.columns.filters
        if not any(
            _leads(index, one.name, key.name, ends_with_key=ends_with_key) for index in indexes
        )
    ]
    return [_said(connection, table, name, key.name) for name in lacking]


def _leads(index: Sequence[str | None], name: str, key: str, *, ends_with_key: bool) -> bool:
    return [*index[:2]] == [name, key] or (ends_with_key and [*index] == [name])


def _said(connection: Connection, table: sa.Table, name: str, key: str) -> str:
    quote = connection.dialect.identifier_preparer.quote
    index = quote(f"{table.name}_{name}_{key}")
    where = f"{quoted_name(connection, table)} ({quote(name)}, {quote(key)})"
    return (
        f"slow: no index leads to the rows of a filter on {name}, for streams that were away for "
        f"long: CREATE INDEX {index} ON {where};"
    )
