"""A SELECT of the application as rows to read from, and the order that it says.

No database has to keep the order of a subquery, so it is taken out of the SELECT and said around
it. What rows are ordered by and not selected is selected then, under a hidden name.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from poller.reading.description import TableError
from poller.reading.windows.column_named import column_named
from poller.reading.windows.order import Ordered, named_in, unwrapped

HIDDEN = "rowcast_order_"


def as_rows(source: Any, name: str) -> tuple[sa.FromClause, list[Ordered]]:
    """The SELECT as a subquery without an order, and its order. Raises TableError."""
    limits = (getattr(source, one, None) for one in ("_limit_clause", "_offset_clause"))
    if any(limit is not None for limit in limits):
        raise TableError(f"{name}: leave LIMIT and OFFSET out of the SELECT: window= is the limit")
    clauses = [*getattr(source, "_order_by_clauses", ())]
    if not clauses:
        return source.subquery("rowcast_rows"), []
    selected = _selected(source)
    bare, parts = source.order_by(None), []
    for number, clause in enumerate(clauses):
        element, descending, nulls = unwrapped(clause)
        known = named_in(element) or selected.get(id(element)) or selected.get(_of_label(element))
        if known is None:
            known = f"{HIDDEN}{number}"
            bare = _with_hidden(bare, element, known, name)
        parts.append((known, descending, nulls))
    rows = bare.subquery("rowcast_rows")
    return rows, [
        Ordered(column_named(rows, known, name), descending, nulls)
        for known, descending, nulls in parts
    ]


def _selected(source: Any) -> dict[int, str]:
    """The columns' names, by the expressions behind them."""
    columns = [*source.selected_columns]
    labels = {_of_label(one): str(one.key) for one in columns}
    return labels | {id(one): str(one.key) for one in columns}


def _of_label(expression: Any) -> int:
    return id(getattr(expression, "element", expression))


def _with_hidden(source: Any, element: Any, label: str, name: str) -> Any:
    if getattr(source, "_distinct", False) or not hasattr(source, "add_columns"):
        raise TableError(
            f"{name}: a SELECT DISTINCT or UNION can be ordered by what it selects only"
        )
    return source.add_columns(element.label(label))
