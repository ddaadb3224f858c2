"""The key's own qualities, asked in the same way of every database: indexed, unique, never NULL,
within the ids that can be streamed.
"""

# ruff: noqa: S608 - the statements are shown to a person, not executed

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID
from poller.reading.dialects.facts import Finding, quoted_name
from poller.reading.dialects.shapes import Inspects, Shapes

# Marks of an index that a poll cannot walk: a partial one, one of another kind than a tree, one
# that could not be completed.
UNFIT = ("sqlite_where", "postgresql_where", "postgresql_using", "postgresql_invalid")

SHOW_INDEXES = {
    "sqlite": "PRAGMA index_list('{}')",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE tablename = '{}'",
    "mysql": "SHOW INDEX FROM `{}`",
}
SHOW_INDEXES["mariadb"] = SHOW_INDEXES["mysql"]
PARTITIONED_BY = {
    "postgresql": "SELECT pg_get_partkeydef(to_regclass(:name))",
    "mysql": "SELECT max(partition_expression) FROM information_schema.partitions"
    " WHERE table_name = :name AND table_schema = coalesce(:schema, database())",
}
PARTITIONED_BY["mariadb"] = PARTITIONED_BY["mysql"]


def examine_key(
    connection: Connection, table: sa.Table, key: ColumnElement[int], inspector: Inspects
) -> list[Finding]:
    """Nothing of a view, whose rows lie elsewhere."""
    if table.name in inspector.get_view_names(table.schema):
        return []
    beyond = _beyond(connection, table, key)
    if inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"] == [key.name]:
        return [Finding(f"{table.name}.{key.name} is the primary key"), *beyond]
    columns = inspector.get_columns(table.name, table.schema)
    nullable = any(one["name"] == key.name and one["nullable"] for one in columns)
    index = _index(connection, inspector, table, key)
    return [index, *beyond, *([_null(connection, table, key)] if nullable else [])]


def partitioned_by(
    connection: Connection, table: sa.Table, inspector: Inspects | None = None
) -> str | None:
    """What decides to which partition a row goes; None of a table that has none."""
    if isinstance(inspector, Shapes):
        return inspector.partitioned_by(table)
    statement = PARTITIONED_BY.get(connection.dialect.name)
    if statement is None:
        return None
    names = {"name": table.name, "schema": table.schema}
    if connection.dialect.name == "postgresql":
        names = {"name": quoted_name(connection, table)}
    found = connection.execute(sa.text(statement), names).scalar()
    return None if found is None else str(found)


def unique_columns(inspector: Inspects, table: sa.Table) -> list[list[str]]:
    """The columns of each unique index."""
    return _indexes(inspector, table)[0]


def index_columns(inspector: Inspects, table: sa.Table) -> list[list[str | None]]:
    """The columns of each index, in their order; None for an expression."""
    return _indexes(inspector, table)[1]


def _index(
    connection: Connection, inspector: Inspects, table: sa.Table, key: ColumnElement[int]
) -> Finding:
    name = f"{table.name}.{key.name}"
    unique, indexed = _indexes(inspector, table)
    if [key.name] in unique:
        return Finding(f"{name} has a unique index")
    lacking = f"of rows with the same {key.name} all but the first may be missed"
    remedy = f"give {name} a unique index"
    if partitions := partitioned_by(connection, table, inspector):
        remedy = (
            f"a table partitioned by {partitions} can have no unique index on {key.name} alone: "
            f"give {key.name} an index, and let the database number every row, so that none is "
            "duplicated"
        )
    shown_by = SHOW_INDEXES.get(connection.dialect.name, "").format(table.name)
    if any(columns[:1] == [key.name] for columns in indexed):
        fact = f"{name} has an index, but not a unique one of its own"
        return Finding(fact, lacking, remedy, shown_by)
    lacking = f"each poll walks the whole table, and {lacking}"
    return Finding(f"{name} has no index", lacking, remedy, shown_by)


def _indexes(inspector: Inspects, table: sa.Table) -> tuple[list[Any], list[Any]]:
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


def _beyond(connection: Connection, table: sa.Table, key: ColumnElement[int]) -> list[Finding]:
    """Whether there are rows that no cursor can name."""
    extremes = [sa.select(which(key)).scalar_subquery() for which in (sa.func.min, sa.func.max)]
    lowest, greatest = connection.execute(sa.select(*extremes)).one()
    if lowest is None or (lowest >= 1 and greatest < MAX_ID):
        return []
    quoted = connection.dialect.identifier_preparer.quote(key.name)
    example = lowest if lowest < 1 else greatest
    return [
        Finding(
            f"{table.name}.{key.name} has values below 1 or above 2^63 - 2, such as {example}",
            "rows with such an id are not streamed",
            "give these rows other ids, or watch another key",
            f"SELECT min({quoted}), max({quoted}) FROM {quoted_name(connection, table)}",
        )
    ]


def _null(connection: Connection, table: sa.Table, key: ColumnElement[int]) -> Finding:
    quoted = connection.dialect.identifier_preparer.quote(key.name)
    return Finding(
        f"{table.name}.{key.name} may be NULL",
        "rows without it are not streamed",
        "make it NOT NULL",
        f"SELECT count(*) FROM {quoted_name(connection, table)} WHERE {quoted} IS NULL",
    )
