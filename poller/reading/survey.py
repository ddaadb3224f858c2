"""A survey: what the doctor tells of one table, told of every table and view of a database.

The questions are few, whatever the number of tables. Only SQLite, to which there is no network, is
asked about each. Of a table's rows none is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading import remedy
from poller.reading.description import TableError, key_of, own_types_expected, refused
from poller.reading.dialects import mysql_shapes, other_shapes, postgresql_shapes
from poller.reading.dialects.facts import TableFacts
from poller.reading.dialects.key import examine_key
from poller.reading.dialects.shapes import Inspects, Keyed, Shape, Shapes
from poller.reading.fence import GracePeriod
from poller.runtime.settings import GAP_GRACE_S

Facts = Callable[[Connection, Sequence[Keyed], GracePeriod], Sequence[TableFacts]]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A table or view. `key` is the column by which it can be watched, empty if there is none; it
    has to be `named` if it is not the primary key. `facts` are then what is promised; else
    `problem` says why it cannot be watched, and `way_out` what to do."""

    shape: Shape
    key: str = ""
    named: bool = False
    facts: TableFacts | None = None
    problem: str = ""
    way_out: Sequence[str] = ()


def survey(connection: Connection, grace_s: float = GAP_GRACE_S) -> list[Surveyed]:
    """Every table and view that this user can see. `grace_s` is as for `Table`."""
    facts: Facts
    with own_types_expected():
        match connection.dialect.name:
            case "postgresql":
                shapes, facts = postgresql_shapes.shapes_of(connection), postgresql_shapes.facts_of
                inspector: Inspects = Shapes(shapes)
            case "mysql" | "mariadb":
                shapes, facts = mysql_shapes.shapes_of(connection), mysql_shapes.facts_of
                inspector = Shapes(shapes)
            case _:
                shapes, facts = other_shapes.shapes_of(connection), other_shapes.facts_of
                inspector = sa.inspect(connection)
        looks = [_look(connection, shape, inspector) for shape in shapes]
        keyed = [look for look in looks if not isinstance(look, Surveyed)]
        told = iter(facts(connection, keyed, GracePeriod(grace_s, time.monotonic)))
        return [
            look if isinstance(look, Surveyed) else _with(connection, look, next(told), inspector)
            for look in looks
        ]


def _look(connection: Connection, shape: Shape, inspector: Inspects) -> Surveyed | Keyed:
    """The table with its key, or why it cannot be watched."""
    if not shape.readable:
        return Surveyed(shape, problem=shape.problem or refused(shape.name))
    table = shape.table()
    try:
        return Keyed(shape, table, key_of(table, None))
    except TableError as error:
        if fit := remedy.fit_columns(inspector, table):
            return Keyed(shape, table, table.c[fit[0]], named=True)
        way_out = remedy.lines(connection, table, None, inspector)
        return Surveyed(shape, problem=str(error), way_out=way_out)


def _with(connection: Connection, keyed: Keyed, facts: TableFacts, inspector: Inspects) -> Surveyed:
    of_key = examine_key(connection, keyed.table, keyed.key, inspector)
    facts = replace(facts, findings=[*of_key, *facts.findings])
    return Surveyed(keyed.shape, keyed.key.name, keyed.named, facts)
