"""Tables and views by an inspector, one after the other: SQLite's, and those of any database that
is not known here."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from poller.reading.database import raise_if_away
from poller.reading.dialects import shapes
from poller.reading.dialects.shapes import Shape

# What a virtual table keeps its data in.
SHADOWS = sa.text("SELECT name FROM pragma_table_list WHERE type = 'shadow'")


def shapes_of(connection: Connection) -> list[Shape]:
    """Of every table and view of the schema in which names are looked up."""
    inspector = sa.inspect(connection)
    hidden = {*connection.scalars(SHADOWS)} if connection.dialect.name == "sqlite" else set()
    tables = [(shapes.TABLE, name) for name in inspector.get_table_names()]
    views = [(shapes.VIEW, name) for name in inspector.get_view_names()]
    named = sorted((name, kind) for kind, name in [*tables, *views] if name not in hidden)
    return [_shape_or_why(connection, inspector, name, kind) for name, kind in named]


def _shape_or_why(connection: Connection, inspector: sa.Inspector, name: str, kind: str) -> Shape:
    try:
        columns = inspector.get_columns(name)
        primary = inspector.get_pk_constraint(name)["constrained_columns"]
        rows = _rows(connection, name) if kind == shapes.TABLE else None
    except SQLAlchemyError as error:
        raise_if_away(error)
        cause = error.orig if isinstance(error, DBAPIError) else error
        return Shape(None, name, kind, None, readable=False, problem=f"it cannot be read: {cause}")
    return Shape(None, name, kind, rows, columns=columns, primary=primary)


def _rows(connection: Connection, name: str) -> int | None:
    """About how many, from the greatest of SQLite's own row numbers, which is found at once."""
    rowid = sa.column("rowid", sa.Integer)
    greatest = sa.select(sa.func.max(rowid)).select_from(sa.table(name))
    if connection.dialect.name != "sqlite":
        return None
    try:
        return max(0, connection.scalar(greatest) or 0)
    except DBAPIError as error:
        raise_if_away(error)  # else it is a table WITHOUT ROWID
        return None
