"""What a source is called: a table's name, a `sqlalchemy.Table` or a mapped class."""

from __future__ import annotations

import re

import sqlalchemy as sa

# A name of a schema or a table, in double quotes if it has a dot.
PART = r'"([^"]+)"|([^".]+)'
NAME = re.compile(rf"(?:(?:{PART})\.)?(?:{PART})")


def source_name(source: object) -> str:
    """The name under which a table, a mapped class or a table name is watched."""
    table = table_of(source)
    return table.name if isinstance(table, sa.Table) else parts(str(table))[1]


def source_table(source: object) -> sa.Table:
    """The table that is meant, with its schema; described only if the source describes it."""
    table = table_of(source)
    if isinstance(table, sa.Table):
        return table
    schema, name = parts(str(table))
    return sa.Table(name, sa.MetaData(), schema=schema)


def table_of(source: object) -> object:
    return getattr(source, "__table__", source)


def parts(name: str) -> tuple[str | None, str]:
    """Schema and table: `shop.orders`, `"a.b"`, `shop."a.b"`. Any other text is a table's name."""
    match = NAME.fullmatch(name)
    if match is None:
        return None, name
    quoted_schema, schema, quoted_table, table = match.groups()
    return quoted_schema or schema, quoted_table or table
