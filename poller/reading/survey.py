"""A survey: what the doctor tells of one table, told of every table and view of a database.

What is there, and by which key it could be watched, takes a few questions, whatever the number of
tables. Each that has a key is then examined as the doctor does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poller.reading import remedy
from poller.reading.database import Database, is_refused, raise_if_away
from poller.reading.description import TableError, key_of, own_types_expected, refused
from poller.reading.dialects import examine, mysql_shapes, other_shapes, postgresql_shapes
from poller.reading.dialects.facts import TableFacts
from poller.reading.dialects.shapes import Inspects, Shape, Shapes
from poller.reading.windows.choice import Choice, choice
from poller.runtime.settings import GAP_GRACE_S

ALL_TOLD = ("postgresql", "mysql", "mariadb")  # their shapes answer what an inspector is asked


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A table or view. `key` is the column by which it can be watched, empty if there is none; it
    has to be `named` if it is not the primary key. `facts` are then what is promised. Without such
    a column it can be watched by `window`, and `way_out` says how to get more; `problem` says why
    it cannot be watched at all."""

    shape: Shape
    key: str = ""
    named: bool = False
    facts: TableFacts | None = None
    window: Choice | None = None
    problem: str = ""
    way_out: Sequence[str] = ()


def survey(database: Database, grace_s: float = GAP_GRACE_S) -> list[Surveyed]:
    """Every table and view that this user can see. `grace_s` is as for `Table`.

    Each has the query timeout for itself. Raises what `Database.read` raises.
    """
    shapes = database.read(_shapes)
    told = Shapes(shapes) if database.dialect in ALL_TOLD else None

    def look(shape: Shape) -> Surveyed:
        return database.read(lambda connection: _look(connection, shape, told, grace_s))

    return [look(shape) for shape in shapes]


def _shapes(connection: Connection) -> Sequence[Shape]:
    with own_types_expected():
        match connection.dialect.name:
            case "postgresql":
                return postgresql_shapes.shapes_of(connection)
            case "mysql" | "mariadb":
                return mysql_shapes.shapes_of(connection)
            case _:
                return other_shapes.shapes_of(connection)


def _look(connection: Connection, shape: Shape, told: Inspects | None, grace_s: float) -> Surveyed:
    if not shape.readable:
        return Surveyed(shape, problem=shape.problem or refused(shape.name))
    with own_types_expected():
        return _examined(connection, shape, told or sa.inspect(connection), grace_s)


def _examined(
    connection: Connection, shape: Shape, inspector: Inspects, grace_s: float
) -> Surveyed:
    table, named = shape.table(), False
    try:
        key = key_of(table, None)
    except TableError as error:
        if not (fit := remedy.fit_columns(inspector, table)):
            way_out = remedy.lines(connection, table, None, inspector)
            return Surveyed(
                shape, window=choice(connection, table, (), inspector), problem=str(error),
                way_out=way_out,
            )  # fmt: skip
        key, named = table.c[fit[0]], True
    try:
        facts = examine(connection, table, key, grace_s, inspector)
    except DBAPIError as error:
        raise_if_away(error)
        why = refused(shape.name) if is_refused(error) else f"it cannot be read: {error.orig}"
        return Surveyed(shape, problem=why)
    return Surveyed(shape, key.name, named, facts)
