"""Ranges of ids as SQL conditions: for each kind of database a form that costs it one short walk
along the key's index for each range, and Python next to nothing.

A statement is made and compiled once for each *shape*, which does not grow with the ranges; those
go in as one value, written in C. What was measured with 1,000 gaps of 99 ids, an empty poll:

| database | form | ms | as a union of 32 selects, 32 times |
|---|---|---|---|
| PostgreSQL | a lateral select for each pair of two arrays | 1.3 | 39 |
| MariaDB, MySQL | one condition in the statement's text | 5 | 35 |
| SQLite, others | a list, and a union of selects: SQLite's polls have no gaps | 6 | 6 |

What was slower: on PostgreSQL a join with ranges, for which the planner walks the table, and
`= ANY(array)`, for which it walks a table that was never analysed and, at each row, reads the text
of the array (2.6 s with 3,700 ids); on MariaDB a join with JSON_TABLE, which sorts all that it
finds before the limit cuts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import UserDefinedType

from poller.ids.ranges import MAX_ID, Range

LISTED_RANGE = 32
EMPTY: Range = (1, 0)  # fills a union up
LISTED_IDS = 500  # ids in one list of a union
WIDE_RANGES = 32  # selects in a union
ARRAY_LENGTH = 10_000
CONDITIONS = 5_000  # joined by OR; with some 30,000 MariaDB walks the whole table
ONE_IN_LIST = 900  # ids; MariaDB makes a join of a list of 1,000

IDS, LOWS, HIGHS, WITHIN = "ids", "lows", "highs", "within"
Bounds = dict[str, Any]


@dataclass(slots=True)
class Part:
    """Some ranges, each later one above those before: the ids of short ones, and the others."""

    listed: list[int] = field(default_factory=list)
    wide: list[Range] = field(default_factory=list)
    ids: int = 0

    def add(self, low: int, high: int, *, listed: bool) -> None:
        self.ids += high - low + 1
        if listed:
            self.listed += range(low, high + 1)
        else:
            # A key of 2^63 - 1 cannot be followed by another; it is never read.
            self.wide.append((low, min(high, MAX_ID - 1)))


class Shape(NamedTuple):
    """Whether ids are listed, and for how many other ranges there is room."""

    listed: bool
    wide: int


class Form(Protocol):
    """How the ranges of a part are said. A range of fewer than `listed_range` ids is listed, id by
    id. `listed_ids`, `wide_ranges`: at most, in one statement."""

    listed_range: int
    listed_ids: int
    wide_ranges: int

    def shape(self, part: Part) -> Shape: ...

    def selects(
        self, rows: sa.Select[Any], key: ColumnElement[Any], shape: Shape
    ) -> list[sa.Select[Any]]:
        """`rows`, which are ordered and limited, of the ranges: what is to be united."""

    def bounds(self, part: Part, shape: Shape) -> Bounds:
        """What to execute these with."""


class Union:
    """A list, and a select for each other range. A planner that is given many ORs may walk the
    whole table; a union leaves it no choice."""

    listed_range = LISTED_RANGE
    listed_ids = LISTED_IDS
    wide_ranges = WIDE_RANGES

    def shape(self, part: Part) -> Shape:
        wide = 1 << (len(part.wide) - 1).bit_length() if part.wide else 0  # a few shapes
        return Shape(bool(part.listed), wide)

    def selects(
        self, rows: sa.Select[Any], key: ColumnElement[Any], shape: Shape
    ) -> list[sa.Select[Any]]:
        listed = _id(key).in_(sa.bindparam(IDS, type_=sa.BigInteger, expanding=True))
        each = [rows.where(between(key, at)) for at in range(shape.wide)]
        return [rows.where(listed), *each] if shape.listed else each

    def bounds(self, part: Part, shape: Shape) -> Bounds:
        bounds = {IDS: part.listed} if shape.listed else {}
        for at, limits in enumerate([*part.wide, *[EMPTY] * (shape.wide - len(part.wide))]):
            bounds |= bounds_of(limits, at)
        return bounds


class Arrays:
    """PostgreSQL's. An array is sent as text, which is made in C. Nothing is listed: what looks an
    id up in a list has a planner choose between an index and the table, and here it has no say."""

    listed_range = listed_ids = 0
    wide_ranges = ARRAY_LENGTH

    def shape(self, part: Part) -> Shape:
        return Shape(listed=False, wide=min(len(part.wide), 2))

    def selects(
        self, rows: sa.Select[Any], key: ColumnElement[Any], shape: Shape
    ) -> list[sa.Select[Any]]:
        if shape.wide < 2:
            return [rows.where(_walk(key, _bound("low_0"), _bound("high_0")))]
        ranges = sa.func.unnest(_unseen(LOWS), _unseen(HIGHS)).table_valued("low", "high")
        ranges = ranges.render_derived()
        within = rows.where(_walk(key, ranges.c.low, ranges.c.high)).correlate(ranges)
        # Its own limit keeps the planner from joining it: it is executed for each range.
        each = within.lateral()
        return [sa.select(*each.c).select_from(ranges.join(each, sa.true()))]

    def bounds(self, part: Part, shape: Shape) -> Bounds:
        if shape.wide < 2:
            return bounds_of(part.wide[0])
        lows, highs = zip(*part.wide, strict=True)
        return {LOWS: _text(lows), HIGHS: _text(highs)}


class Ored:
    """MariaDB's and MySQL's: their optimizers make one walk along the index of any conditions on
    one column. The highest range, in which most rows are, has a select of
    its own: a row is compared with one condition after the other."""

    listed_range = LISTED_RANGE
    listed_ids = wide_ranges = CONDITIONS

    def shape(self, part: Part) -> Shape:
        return Shape(bool(part.listed), min(len(part.wide), 2))

    def selects(
        self, rows: sa.Select[Any], key: ColumnElement[Any], shape: Shape
    ) -> list[sa.Select[Any]]:
        top = [rows.where(between(key))] if shape.wide else []
        if shape == (False, 1):
            return top
        within = sa.bindparam(WITHIN, type_=_Within(key.name), literal_execute=True)
        return [rows.where(within), *top]

    def bounds(self, part: Part, shape: Shape) -> Bounds:
        bounds = bounds_of(part.wide[-1]) if shape.wide else {}
        return bounds if shape == (False, 1) else {**bounds, WITHIN: (part.listed, part.wide[:-1])}


class _Within(UserDefinedType[Any]):
    """Ids, and ranges, as a condition on the column `name`."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[Any], str]:
        column = dialect.identifier_preparer.quote(self.name)
        return lambda ranges: _ored(column, *ranges)


def _ored(column: str, ids: Sequence[int], ranges: Sequence[Range]) -> str:
    lists = [ids[at : at + ONE_IN_LIST] for at in range(0, len(ids), ONE_IN_LIST)]
    said = [f"{column} IN ({str(some)[1:-1]})" for some in lists]
    limits = " OR ".join(["{} BETWEEN %d AND %d"] * len(ranges)) % tuple(chain(*ranges))
    return f"({' OR '.join([*said, *([limits.replace('{}', column)] if ranges else [])])})"


def between(key: ColumnElement[Any], at: int = 0) -> ColumnElement[bool]:
    return _id(key).between(_bound(f"low_{at}"), _bound(f"high_{at}"))


def bounds_of(limits: Range, at: int = 0) -> Bounds:
    return {f"low_{at}": limits[0], f"high_{at}": limits[1]}


def _id(key: ColumnElement[Any]) -> ColumnElement[Any]:
    """PostgreSQL's driver sends each bound as of the key's type, and ours are beyond an INTEGER."""
    return sa.type_coerce(key, sa.BigInteger)


def _walk(
    key: ColumnElement[Any], low: ColumnElement[Any], high: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Between the two. The planner must not see that they are the bounds of one range. In a table
    that was never analysed it takes any range for 0.5 % of the rows, which it gathers and sorts, so
    that each batch of a bulk would read all of the bulk. A comparison of pairs goes by the index
    just as well, and is no half of a range: so it expects a ninth, and walks until the limit. It
    is the upper one because a partition is left out only by a plain one."""
    zero = sa.literal_column("0", sa.Integer)
    return sa.and_(_id(key) >= low, sa.tuple_(_id(key), zero) <= sa.tuple_(high, zero))


def _bound(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger)


def _array(name: str) -> ColumnElement[Any]:
    return sa.cast(sa.bindparam(name, type_=sa.Text), pg.ARRAY(sa.BigInteger))


def _unseen(name: str) -> ColumnElement[Any]:
    """The planner must not see how many there are. With thousands it takes the statement for so
    costly that it has it compiled first (JIT), at each poll, which takes longer than all else."""
    return sa.select(_array(name)).scalar_subquery()


def _text(ids: Sequence[int]) -> str:
    return f"{{{str(list(ids))[1:-1]}}}"


UNION = Union()
FORMS: dict[str, Form] = {"postgresql": Arrays(), "mysql": Ored(), "mariadb": Ored()}


def form_of(dialect: str) -> Form:
    """That of a database's kind, by SQLAlchemy's name."""
    return FORMS.get(dialect, UNION)
