"""MariaDB's and MySQL's tables and views, of one database, by a few questions to its catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.dialects import shapes
from poller.reading.dialects.held import NO_TYPE
from poller.reading.dialects.shapes import Column, Shape

INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
TABLES = sa.text("""
SELECT table_name AS name, table_type AS kind, table_rows FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type <> 'SEQUENCE' ORDER BY table_name
""")
COLUMNS = sa.text("""
SELECT table_name AS name, column_name, data_type, is_nullable, extra, privileges
FROM information_schema.columns
WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position
""")
INDEXES = sa.text("""
SELECT table_name AS name, index_name, non_unique, column_name
FROM information_schema.statistics
WHERE table_schema = DATABASE() AND index_type = 'BTREE'
ORDER BY table_name, index_name, seq_in_index
""")
PARTITIONS = sa.text("""
SELECT table_name AS name, MAX(partition_expression) AS partitioned_by
FROM information_schema.partitions
WHERE table_schema = DATABASE() AND partition_name IS NOT NULL GROUP BY table_name
""")


def shapes_of(connection: Connection) -> list[Shape]:
    """Of every table and view in the database that the connection is to."""
    tables = connection.execute(TABLES).all()
    columns = _by_name(connection.execute(COLUMNS).all())
    indexes = _by_name(connection.execute(INDEXES).all())
    partitioned = {one.name: one.partitioned_by for one in connection.execute(PARTITIONS)}
    return [
        _shape(one, columns[one.name], indexes[one.name], partitioned.get(one.name))
        for one in tables
    ]


def _by_name(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.name].append(row)
    return found


def _shape(
    told: Any, columns: Sequence[Any], parts: Sequence[Any], partitioned_by: str | None
) -> Shape:
    view = "VIEW" in told.kind
    kind = shapes.PARTITIONED if partitioned_by else shapes.VIEW if view else shapes.TABLE
    indexes = {name: [*group] for name, group in groupby(parts, attrgetter("index_name"))}
    primary = [one.column_name for one in indexes.pop("PRIMARY", [])]
    return Shape(
        schema=None,
        name=told.name,
        kind=kind,
        rows=None if told.table_rows is None else int(told.table_rows),
        readable=bool(columns) and all("select" in one.privileges.lower() for one in columns),
        columns=[_column(one) for one in columns],
        primary=primary,
        indexes=[
            {"column_names": [one.column_name for one in of], "unique": not of[0].non_unique}
            for of in indexes.values()
        ],
        partitioned_by=partitioned_by,
    )


def _column(told: Any) -> Column:
    return {
        "name": told.column_name,
        "type": sa.BigInteger() if told.data_type in INTEGERS else NO_TYPE,
        "nullable": told.is_nullable == "YES",
        "autoincrement": "auto_increment" in told.extra.lower(),
    }
