"""Ranges of ids as SQL conditions, each one walk along the key's index.

A planner that is given many ORs may walk the whole table instead; a union of parts, each with its
own condition, leaves it no choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID, Range

LISTED_RANGE = 32  # a range of fewer ids is listed id by id
LISTED_IDS = 500  # ids in one list
PARTS_PER_STATEMENT = 16


def conditions(key: ColumnElement[Any], ranges: Sequence[Range]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together say "in `ranges`": lists of ids, and ranges too long to list."""
    # PostgreSQL's driver sends each bound as of the key's type, and ours are beyond an INTEGER.
    key = sa.type_coerce(key, sa.BigInteger)
    listed: list[int] = []
    for low, high in ranges:
        if high - low < LISTED_RANGE:
            listed += range(low, high + 1)
        else:
            # A key of 2^63 - 1 cannot be followed by another; it is never read.
            yield key.between(low, min(high, MAX_ID - 1))
    for at in range(0, len(listed), LISTED_IDS):
        yield key.in_(listed[at : at + LISTED_IDS])


def selects(
    key: ColumnElement[Any],
    columns: Sequence[ColumnElement[Any]],
    ranges: Sequence[Range],
    limit: int,
) -> list[sa.Select[Any]]:
    """Statements that bring the key and `columns` of the rows in `ranges`.

    Each brings at most `limit` rows, the lowest first; it is one unless the ranges are very many.
    """
    parts = [
        sa.select(key, *columns).where(within).order_by(key).limit(limit)
        for within in conditions(key, ranges)
    ]
    if len(parts) == 1:
        return parts
    statements = []
    for at in range(0, len(parts), PARTS_PER_STATEMENT):
        each = [sa.select(part.subquery()) for part in parts[at : at + PARTS_PER_STATEMENT]]
        rows = sa.union_all(*each).subquery()
        statements.append(sa.select(*rows.c).order_by(rows.c[key.name]).limit(limit))
    return statements
