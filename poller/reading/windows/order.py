"""The order of a window: which rows are the newest, and what it may not leave open.

    order_by="created_at"                        the greatest first, as a window shows the newest
    order_by="priority asc nulls last"           as it is written
    order_by=[orders.c.priority, sa.desc("id")]  SQLAlchemy's expressions: as they are written
    select(…).order_by(…)                        the query's own

Ties at the window's edge would let rows flap in and out, so the columns of the key are appended.
Where a NULL comes is decided otherwise by each database, so it has to be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ColumnElement, UnaryExpression

from poller.reading.description import TableError
from poller.reading.windows.column_named import column_named

TEXT = re.compile(
    r'\s*(?:"(?P<quoted>[^"]+)"|(?P<name>\S+))(?:\s+(?P<way>asc|desc))?'
    r"(?:\s+nulls\s+(?P<nulls>first|last))?\s*",
    re.IGNORECASE,
)
NULLS = {operators.nulls_first_op: "first", operators.nulls_last_op: "last"}
WAYS = {operators.asc_op: False, operators.desc_op: True}


@dataclass(frozen=True, slots=True)
class Ordered:
    """One part of an order. `nulls` is where NULLs come, empty if it was not said."""

    by: ColumnElement[Any]
    descending: bool
    nulls: str = ""

    def clauses(self, dialect: str) -> Iterator[ColumnElement[Any]]:
        """For ORDER BY. MariaDB and MySQL know no NULLS LAST."""
        clause = self.by.desc() if self.descending else self.by.asc()
        if not self.nulls:
            yield clause
        elif dialect in ("mysql", "mariadb"):
            yield self.by.is_(None) if self.nulls == "last" else self.by.isnot(None)
            yield clause
        else:
            yield clause.nulls_last() if self.nulls == "last" else clause.nulls_first()


def order_of(given: object, rows: sa.FromClause, name: str) -> list[Ordered]:
    """What `order_by` says of the columns of `rows`. Raises TableError."""
    parts = given if isinstance(given, list | tuple) else [given]
    return [
        _of_text(part, rows, name) if isinstance(part, str) else _of_expression(part, rows, name)
        for part in parts
    ]


def with_key(order: Sequence[Ordered], key: Sequence[ColumnElement[Any]]) -> list[Ordered]:
    """The same with the key behind it, in the direction of the last part, so that one index can
    bring both."""
    there = {id(part.by) for part in order}
    return [*order, *(replace(order[-1], by=one, nulls="") for one in key if id(one) not in there)]


def unwrapped(expression: Any) -> tuple[Any, bool, str]:
    """What is ordered by, whether descending, and where NULLs come."""
    descending, nulls = False, ""
    while isinstance(expression, UnaryExpression) and expression.modifier is not None:
        descending = WAYS.get(expression.modifier, descending)
        nulls = NULLS.get(expression.modifier, nulls)
        expression = expression.element
    return getattr(expression, "_element", expression), descending, nulls


def named_in(expression: object) -> str | None:
    """The column's name, where it was given as text."""
    if getattr(expression, "__visit_name__", "") == "textual_label_reference":
        return str(getattr(expression, "element", ""))
    return None


def _of_text(text: str, rows: sa.FromClause, name: str) -> Ordered:
    found = TEXT.fullmatch(text)
    if found is None:
        raise TableError(
            f"{name}: order_by={text!r} cannot be read; write the name of a column, with asc or "
            "desc and nulls last behind it"
        )
    column = column_named(rows, found["quoted"] or found["name"], name)
    descending = (found["way"] or "desc").lower() == "desc"
    return Ordered(column, descending, (found["nulls"] or "").lower())


def _of_expression(given: object, rows: sa.FromClause, name: str) -> Ordered:
    expression = getattr(given, "__clause_element__", lambda: given)()
    element, descending, nulls = unwrapped(expression)
    if (text := named_in(element)) is not None:
        return Ordered(column_named(rows, text, name), descending, nulls)
    if not isinstance(element, ColumnElement):
        raise TableError(f"{name}: order_by={given!r} is neither a column nor an expression of one")
    column = rows.corresponding_column(element)  # type: ignore[arg-type]
    return Ordered(element if column is None else column, descending, nulls)
