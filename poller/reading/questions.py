"""Questions for the rows in ranges of ids: few statements, made once, and no row read in vain.

A client says what it lacks, so a forged `Last-Event-ID` may name thousands of ranges. To put a
union of their conditions together took longer than to execute it, and kept everybody waiting. So
statements are made once for each shape: a list of ids, and so many ranges beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID, Range

LISTED_RANGE = 32  # a range of fewer ids is listed id by id
LISTED_IDS = 500  # ids in one list
WIDE_RANGES = 32  # ranges in one statement that are too long to list
WIDER = 16  # so many times as many ids are asked for next
EMPTY: Range = (1, 0)  # fills a statement up

ROWS, IDS = "rows", "ids"
Bounds = dict[str, Any]


@dataclass(slots=True)
class _Part:
    """Some ranges, each later one above those before."""

    listed: list[int] = field(default_factory=list)
    wide: list[Range] = field(default_factory=list)
    ids: int = 0

    def has_room(self, size: int, wanted: int) -> bool:
        """For a range of so many ids, where so many ids in all are wanted."""
        if not self.ids:
            return True
        listed = size < LISTED_RANGE
        room = len(self.listed) + size <= LISTED_IDS if listed else len(self.wide) < WIDE_RANGES
        return room and self.ids < wanted

    def add(self, low: int, high: int) -> None:
        size = high - low + 1
        self.ids += size
        if size < LISTED_RANGE:
            self.listed += range(low, high + 1)
        else:
            # A key of 2^63 - 1 cannot be followed by another; it is never read.
            self.wide.append((low, min(high, MAX_ID - 1)))


def parts(ranges: Sequence[Range], wanted: int) -> Iterator[_Part]:
    """`ranges` in parts, each for one statement: in the first as few as have `wanted` ids, and many
    more in those after it."""
    part = _Part()
    for low, high in ranges:
        if not part.has_room(high - low + 1, wanted):
            yield part
            part, wanted = _Part(), wanted * WIDER
        part.add(low, high)
    if part.ids:
        yield part


class Questions:
    """For the key and `columns` of one table; `beside(select)` adds what is read with them.

    `few_rows`: the ranges probably hold few, as gaps do, so all of them are asked for at once.
    Otherwise the lowest come first, as few as may hold the rows that are wanted.
    """

    def __init__(
        self,
        key: ColumnElement[Any],
        columns: Sequence[ColumnElement[Any]],
        beside: Callable[[sa.Select[Any]], sa.Select[Any]] = lambda rows: rows,
        *,
        few_rows: bool = False,
    ) -> None:
        self._key = key
        self._columns = columns
        self._few_rows = few_rows
        self._statement = cache(lambda listed, wide: beside(self._made(listed, wide)))

    def about(self, ranges: Sequence[Range], limit: int) -> Iterator[tuple[sa.Select[Any], Bounds]]:
        """Statements with what to execute them with. Each brings the lowest rows of its ranges, at
        most `limit`, and has none below those of the statements before."""
        for part in parts(ranges, MAX_ID if self._few_rows else limit):
            wide = 1 << (len(part.wide) - 1).bit_length() if part.wide else 0  # a few shapes
            padded = [*part.wide, *[EMPTY] * (wide - len(part.wide))]
            bounds: Bounds = {ROWS: limit, IDS: part.listed} if part.listed else {ROWS: limit}
            for at, (low, high) in enumerate(padded):
                bounds |= {f"low_{at}": low, f"high_{at}": high}
            yield self._statement(bool(part.listed), wide), bounds

    def _made(self, listed: bool, wide: int) -> sa.Select[Any]:  # noqa: FBT001
        # PostgreSQL's driver sends each bound as of the key's type, and ours are beyond an INTEGER.
        key = sa.type_coerce(self._key, sa.BigInteger)
        conditions = [key.between(_bound(f"low_{at}"), _bound(f"high_{at}")) for at in range(wide)]
        if listed:
            ids = sa.bindparam(IDS, type_=sa.BigInteger, expanding=True)
            conditions.append(key.in_(ids))
        limit = sa.bindparam(ROWS, type_=sa.Integer)
        rows = sa.select(self._key, *self._columns).order_by(self._key).limit(limit)
        if len(conditions) == 1:
            return rows.where(*conditions)
        # A planner that is given many ORs may walk the whole table; a union leaves it no choice.
        each = [sa.select(rows.where(within).subquery()) for within in conditions]
        union = sa.union_all(*each).subquery()
        return sa.select(*union.c).order_by(union.c[self._key.name]).limit(limit)


def _bound(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger)
