"""The key's own qualities, asked in the same way of every database: indexed, unique, never NULL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects.facts import Finding

# Marks of an index that a poll cannot walk: a partial one, one of another kind than a tree, one
# that could not be completed.
UNFIT = ("sqlite_where", "postgresql_where", "postgresql_using", "postgresql_invalid")


def examine_key(connection: Connection, table: sa.Table, key: ColumnElement[int]) -> list[Finding]:
    """Nothing of a view, whose rows lie elsewhere."""
    inspector = sa.inspect(connection)
    if table.name in inspector.get_view_names(table.schema):
        return []
    name = f"{table.name}.{key.name}"
    if inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"] == [key.name]:
        return [Finding(f"{name} is the primary key")]
    columns = inspector.get_columns(table.name, table.schema)
    nullable = any(one["name"] == key.name and one["nullable"] for one in columns)
    return [_index(inspector, table, key), *([_null(name)] if nullable else [])]


def _index(inspector: sa.Inspector, table: sa.Table, key: ColumnElement[int]) -> Finding:
    name = f"{table.name}.{key.name}"
    unique, indexed = _indexes(inspector, table)
    if [key.name] in unique:
        return Finding(f"{name} has a unique index")
    doubled = f"of rows with the same {key.name} all but the first may be missed"
    remedy = f"give {name} a unique index"
    if any(columns[:1] == [key.name] for columns in indexed):
        return Finding(f"{name} has an index, but not a unique one of its own", doubled, remedy)
    return Finding(
        f"{name} has no index", f"each poll walks the whole table, and {doubled}", remedy
    )


def _indexes(inspector: sa.Inspector, table: sa.Table) -> tuple[list[Any], list[Any]]:
    """The columns of each unique index, and of each index."""
    indexes = [
        index
        for index in inspector.get_indexes(table.name, table.schema)
        if not any(mark in index.get("dialect_options", {}) for mark in UNFIT)
    ]
    constraints = inspector.get_unique_constraints(table.name, table.schema)
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    unique = [one["column_names"] for one in (*indexes, *constraints) if one.get("unique", True)]
    return unique, [*unique, *(one["column_names"] for one in indexes), primary]


def _null(name: str) -> Finding:
    return Finding(f"{name} may be NULL", "rows without it are not streamed", "make it NOT NULL")
