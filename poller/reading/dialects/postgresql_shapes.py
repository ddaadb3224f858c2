"""PostgreSQL's tables and views, of all schemas, by a few questions to the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.dialects import shapes
from poller.reading.dialects.held import NO_TYPE
from poller.reading.dialects.shapes import Column, Shape

KINDS = {
    "r": shapes.TABLE,
    "p": shapes.PARTITIONED,
    "v": shapes.VIEW,
    "m": shapes.MATERIALIZED,
    "f": shapes.FOREIGN,
}
RELATIONS = r"""
WITH RECURSIVE relation AS (
  SELECT c.*, nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
    AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%'
), whole(oid) AS (
  VALUES ('int2'::regtype::oid), ('int4'::regtype::oid), ('int8'::regtype::oid)
  UNION SELECT t.oid FROM pg_type t JOIN whole ON typtype = 'd' AND typbasetype = whole.oid
)
"""
# A table that was never analysed has -1 there; then the collected statistics may know.
ROWS = "CASE WHEN reltuples < 0 THEN pg_stat_get_live_tuples(oid) ELSE reltuples END"
TABLES = f"""
SELECT oid, nspname AS schema, relname AS name, relkind::text AS kind, relispartition,
  CASE WHEN relkind IN ('r', 'm') THEN {ROWS}
    WHEN relkind = 'p' THEN (SELECT COALESCE(sum({ROWS}), 0) FROM pg_class WHERE relkind = 'r'
      AND oid IN (SELECT relid FROM pg_partition_tree(relation.oid))) END AS rows,
  has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(oid, 'SELECT') AS readable,
  pg_table_is_visible(oid) AS visible, pg_get_partkeydef(oid) AS partitioned_by
FROM relation ORDER BY NOT pg_table_is_visible(oid), nspname, relname
"""  # noqa: S608 - constants
COLUMNS = """
SELECT attrelid AS oid, attname AS name, atttypid IN (SELECT oid FROM whole) AS is_integer,
  NOT attnotnull AS nullable, attidentity <> '' AS identity,
  COALESCE(pg_get_expr(adbin, adrelid) LIKE 'nextval(%', false) AS autoincrement
FROM relation JOIN pg_attribute ON attrelid = relation.oid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum
"""
# Without those that a poll cannot walk: see UNFIT in key.py.
INDEXES = """
SELECT indrelid AS oid, indisprimary AS primary, indisunique AS unique, ARRAY(
    SELECT attname::text FROM unnest(indkey[0:indnkeyatts - 1]) WITH ORDINALITY AS part(number, at)
      LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = number AND number > 0 ORDER BY at
  ) AS column_names
FROM relation JOIN pg_index ON indrelid = relation.oid
  JOIN pg_class index ON index.oid = indexrelid JOIN pg_am ON pg_am.oid = index.relam
WHERE indpred IS NULL AND indisvalid AND amname = 'btree' ORDER BY indrelid, indexrelid
"""


def shapes_of(connection: Connection) -> list[Shape]:
    """Of every table and view, those of the search path first."""
    tables = connection.execute(sa.text(RELATIONS + TABLES)).all()
    columns = _by_oid(connection.execute(sa.text(RELATIONS + COLUMNS)).all())
    indexes = _by_oid(connection.execute(sa.text(RELATIONS + INDEXES)).all())
    return [_shape(one, columns[one.oid], indexes[one.oid]) for one in tables]


def _by_oid(rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.oid].append(row)
    return found


def _shape(told: Any, columns: Sequence[Any], indexes: Sequence[Any]) -> Shape:
    kind = KINDS[told.kind]
    primary: Sequence[str] = next((index.column_names for index in indexes if index.primary), [])
    return Shape(
        schema=None if told.visible else told.schema,
        name=told.name,
        kind=shapes.PARTITION if told.relispartition else kind,
        rows=None if told.rows is None else max(0, int(told.rows)),
        readable=told.readable,
        columns=[_column(one) for one in columns],
        primary=primary,
        indexes=[
            {"column_names": one.column_names, "unique": one.unique}
            for one in indexes
            if not one.primary
        ],
        partitioned_by=told.partitioned_by,
    )


def _column(told: Any) -> Column:
    return {
        "name": told.name,
        "type": sa.BigInteger() if told.is_integer else NO_TYPE,
        "nullable": told.nullable,
        "identity": told.identity or None,
        "autoincrement": told.autoincrement,
    }
