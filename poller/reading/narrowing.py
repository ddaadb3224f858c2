"""Conditions that narrow a query to the rows of a view, as far as the database tells values apart.

They may find more than what is asked for, never less: see `filterable.py`. The values go in from
outside, so a statement is made and compiled once for the same columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.conditions import Bounds
from poller.reading.filterable import Filterable
from poller.wire.exact import Exact

Narrowed = Mapping[str, Sequence[Exact]]  # columns, and their values
EVERYTHING: Narrowed = {}


class Asked(NamedTuple):
    """Of a column: whether values are asked for, and whether NULL is."""

    name: str
    values: bool
    null: bool


Narrowing = tuple[Asked, ...]
NOT_NARROWED: Narrowing = ()


def narrowing_of(narrowed: Narrowed) -> Narrowing:
    """What a statement is made for."""
    return tuple(
        Asked(name, any(value is not None for value in values), None in values)
        for name, values in narrowed.items()
    )


class Narrower:
    """For the filterable columns of one table."""

    def __init__(self, filters: Sequence[Filterable]) -> None:
        self._filters = {one.name: one for one in filters}

    def conditions(self, narrowing: Narrowing) -> list[ColumnElement[bool]]:
        return [self._condition(at, asked) for at, asked in enumerate(narrowing)]

    def bounds(self, narrowed: Narrowed) -> Bounds:
        """What to execute these with."""
        bounds: Bounds = {}
        for at, (name, values) in enumerate(narrowed.items()):
            bound = self._filters[name].kind.bound
            if some := [bound(value) for value in values if value is not None]:
                bounds[_parameter(at)] = some
        return bounds

    def _condition(self, at: int, asked: Asked) -> ColumnElement[bool]:
        column = self._filters[asked.name].column
        values = sa.bindparam(_parameter(at), type_=column.type, expanding=True)
        found = [column.in_(values)] if asked.values else []
        return sa.or_(*found, *([column.is_(None)] if asked.null else []))


def _parameter(at: int) -> str:
    return f"filter_{at}"
