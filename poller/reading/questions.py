"""Questions for the rows in ranges of ids: few statements, made once, and no row read in vain.

A client says what it lacks, so a forged `Last-Event-ID` may name thousands of ranges; and a table
whose ids are far apart has as many gaps as transactions roll back. To put a statement together for
each of them took longer than to execute it, and kept everybody waiting. `conditions.py` says how
the ranges are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID, Range
from poller.reading.conditions import Bounds, Form, Part, Shape, form_of
from poller.reading.filterable import Filterable
from poller.reading.narrowing import EVERYTHING, Narrowed, Narrower, Narrowing, narrowing_of

WIDER = 16  # so many times as many ids are asked for next
ROWS = "rows"


def parts(ranges: Sequence[Range], wanted: int, form: Form) -> Iterator[Part]:
    """`ranges` in parts, each for one statement: in the first as few as have `wanted` ids, and many
    more in those after it."""
    part = Part()
    for low, high in ranges:
        if not _has_room(part, high - low + 1, wanted, form):
            yield part
            part, wanted = Part(), wanted * WIDER
        part.add(low, high, listed=high - low + 1 < form.listed_range)
    if part.ids:
        yield part


def _has_room(part: Part, size: int, wanted: int, form: Form) -> bool:
    """For a range of so many ids, where so many ids in all are wanted."""
    if not part.ids:
        return True
    if size < form.listed_range:
        room = len(part.listed) + size <= form.listed_ids
    else:
        room = len(part.wide) < form.wide_ranges
    return room and part.ids < wanted


class Questions:
    """For the key and `columns` of one table; `beside(select)` adds what is read with them.

    `dialect` is SQLAlchemy's name of the database's kind. `few_rows`: the ranges probably hold few,
    as gaps do, so all of them are asked for at once. Otherwise the lowest come first, as few as may
    hold the rows that are wanted. `filters` are the columns by which they can be narrowed.
    """

    def __init__(
        self,
        dialect: str,
        key: ColumnElement[Any],
        columns: Sequence[ColumnElement[Any]],
        beside: Callable[[sa.Select[Any]], sa.Select[Any]] = lambda rows: rows,
        *,
        few_rows: bool = False,
        filters: Sequence[Filterable] = (),
    ) -> None:
        self._form = form_of(dialect)
        self._key = key
        self._columns = columns
        self._few_rows = few_rows
        self._narrower = Narrower(filters)
        self._statement = cache(lambda shape, narrowing: beside(self._made(shape, narrowing)))

    def about(
        self, ranges: Sequence[Range], limit: int, narrowed: Narrowed = EVERYTHING
    ) -> Iterator[tuple[sa.Select[Any], Bounds]]:
        """Statements with what to execute them with. Each brings the lowest rows of its ranges, at
        most `limit`, and has none below those of the statements before."""
        narrowing, values = narrowing_of(narrowed), self._narrower.bounds(narrowed)
        few_rows = self._few_rows or bool(narrowing)
        for part in parts(ranges, MAX_ID if few_rows else limit, self._form):
            shape = self._form.shape(part)
            bounds = {ROWS: limit, **values, **self._form.bounds(part, shape)}
            yield self._statement(shape, narrowing), bounds

    def _made(self, shape: Shape, narrowing: Narrowing) -> sa.Select[Any]:
        limit = sa.bindparam(ROWS, type_=sa.Integer)
        rows = sa.select(self._key, *self._columns).order_by(self._key).limit(limit)
        rows = rows.where(*self._narrower.conditions(narrowing))
        selects = self._form.selects(rows, self._key, shape)
        if len(selects) == 1 and shape.wide < 2:
            return selects[0]
        union = sa.union_all(*(sa.select(one.subquery()) for one in selects)).subquery()
        return sa.select(*union.c).order_by(union.c[self._key.name]).limit(limit)
