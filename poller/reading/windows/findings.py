"""What holds of a feed by window: whether its key is unique, and whether its order has an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.dialects.facts import Finding
from poller.reading.dialects.key import index_columns, unique_columns
from poller.reading.dialects.shapes import Inspects
from poller.reading.windows.query import Query


def findings_of(connection: Connection, query: Query, name: str) -> list[Finding]:
    """In the order in which a person reads them."""
    if query.derived or not isinstance(query.window.rows, sa.Table):
        key = ", ".join(query.key)
        return [Finding(f"{name} is computed at each look; one that finds ({key}) twice says so")]
    return [*_of_table(sa.inspect(connection), query.window.rows, query)]


def _of_table(inspector: Inspects, table: sa.Table, query: Query) -> Iterator[Finding]:
    order = [str(getattr(part.by, "name", part.by)) for part in query.window.order]
    yield _uniqueness(inspector, table, query.key)
    yield _index(inspector, table, order)


def _uniqueness(inspector: Inspects, table: sa.Table, key: Sequence[str]) -> Finding:
    told = f"{table.name} ({', '.join(key)})"
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    if {*primary} == {*key}:
        return Finding(f"{told} is the primary key")
    if any({*one} <= {*key} for one in unique_columns(inspector, table)):
        return Finding(f"{told} has a unique index")
    return Finding(
        f"{told} has no unique index",
        "a key that stands twice stops the feed, unless the rows are equal in all columns",
        f"name columns that have one (key=, --key), or create it on {', '.join(key)}",
    )


def _index(inspector: Inspects, table: sa.Table, order: Sequence[str]) -> Finding:
    told = f"{table.name} is ordered by {', '.join(order)}"
    first = order[:1]  # the rows of one value are sorted quickly
    if any([*one][:1] == first for one in index_columns(inspector, table)):
        return Finding(f"{told}, which has an index")
    return Finding(
        f"{told}, which has no index",
        "each look reads and sorts the whole table",
        f"create an index on {', '.join(order)}",
    )
