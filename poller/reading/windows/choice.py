"""How a table or view can be watched by window where nobody said it: by which key, in which order.

The key is the primary key, or a unique index whose columns are never NULL. Without one it is all
columns: rows that are equal in all of them are one row then, and an UPDATE is a row that goes and
one that comes. The order is a time that the database gives each row, or the key itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.description import TableError
from poller.reading.dialects.key import unique_columns
from poller.reading.dialects.shapes import Inspects
from poller.reading.naming import source_table

DEFAULT_ROWS = 200
CREATED = re.compile("(creat|insert|add|plac)ed(_at|_on|_time)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """`key` and `order_by` are as for `Notifier.watch()`."""

    key: tuple[str, ...]
    order_by: str


def choice(
    connection: Connection,
    source: object,
    key: Sequence[str] = (),
    inspector: Inspects | None = None,
) -> Choice:
    """What fits `source`, a table or its name; `key` if it was named. Raises TableError for one
    without such columns, NoSuchTableError."""
    table, told = source_table(source), inspector or sa.inspect(connection)
    columns = told.get_columns(table.name, table.schema)
    lacking = {*key} - {one["name"] for one in columns}
    if not columns or lacking:
        raise TableError(f"{table.name} has no column {' or '.join(lacking) or 'at all'}")
    named = tuple(key) or _key(told, table, columns)
    return Choice(named, _order(columns, named))


def _key(inspector: Inspects, table: sa.Table, columns: Sequence[Any]) -> tuple[str, ...]:
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    if primary:
        return tuple(primary)
    never_null = {one["name"] for one in columns if not one["nullable"]}
    fit = [one for one in unique_columns(inspector, table) if never_null.issuperset(one)]
    if fit:
        return tuple(next(one for one in fit if len(one) == min(map(len, fit))))
    return tuple(one["name"] for one in columns)


def _order(columns: Sequence[Any], key: Sequence[str]) -> str:
    never_null = [one for one in columns if not one["nullable"]]
    created = [one["name"] for one in never_null if CREATED.fullmatch(one["name"])]
    moments = [one["name"] for one in never_null if isinstance(one["type"], sa.DateTime)]
    if created or moments:
        return _quoted([*created, *moments][0])
    nullable = any(one["name"] == key[0] and one["nullable"] for one in columns)
    return f"{_quoted(key[0])} nulls last" if nullable else _quoted(key[0])


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
