"""Columns by their names, with a hint where there is none of that name."""

from __future__ import annotations

import difflib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.description import TableError


def column_named(rows: sa.FromClause, name: str, of: str) -> ColumnElement[Any]:
    """The column `name` of `rows`, which a person knows as `of`. Raises TableError."""
    if name in rows.c:
        return rows.c[name]
    nearest = difflib.get_close_matches(name, [*rows.c.keys()], n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise TableError(f"{of} has no column {name}{hint}")
