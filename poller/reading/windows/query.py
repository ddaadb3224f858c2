"""The query of a feed by window: what is selected, in which order, and by what rows are told apart.

A table or view is read as it is. A SELECT of the application becomes a subquery; its own order is
taken out of it and said around it, since no database has to keep the order of a subquery.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.changes import ChangingColumns
from poller.reading.description import (
    Describer,
    Description,
    Key,
    TableError,
    Wanted,
    own_types_expected,
    row_key_of,
)
from poller.reading.values import Columns, Value, values_of
from poller.reading.windows.column_named import column_named
from poller.reading.windows.look import Raw
from poller.reading.windows.order import Ordered, order_of, with_key
from poller.reading.windows.row_versions import folded_by_server, version_of
from poller.reading.windows.selects import HIDDEN, as_rows
from poller.wire.row import KeyedRow

NULL_FLAG = "rowcast_null"
LIMIT = "rowcast_limit"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a feed by window was asked to show, as `Notifier.watch()` has it."""

    source: object
    name: str
    key: Key
    columns: Any
    order_by: object
    size: int

    @property
    def is_select(self) -> bool:
        return isinstance(self.source, sa.SelectBase)


@dataclass(frozen=True, slots=True)
class Window:
    """The newest of `rows`, for a database of this kind; the parameter LIMIT says how many."""

    dialect: str
    rows: sa.FromClause
    order: Sequence[Ordered]

    def select(self, columns: Sequence[ColumnElement[Any]]) -> sa.Select[Any]:
        order = [clause for part in self.order for clause in part.clauses(self.dialect)]
        limit = sa.bindparam(LIMIT, type_=sa.Integer)
        return sa.select(*columns).select_from(self.rows).order_by(*order).limit(limit)


@dataclass(frozen=True, slots=True)
class Query:
    """`statement` brings the rows of `window`, the newest first.

    `skip` values stand before those of the columns: the row's version if there are `versions`,
    which asks for those of all rows in one number; or whether a value by which rows are ordered is
    NULL, where nobody can tell beforehand. `derived`: a view or a SELECT computes the rows.
    """

    window: Window
    key: Sequence[str]
    columns: Columns
    skip: int
    derived: bool
    key_of: Callable[[Raw], Hashable]
    statement: sa.Select[Any]
    versions: sa.Select[Any] | None = None

    @property
    def names(self) -> Sequence[str]:
        return self.columns.names

    @property
    def description(self) -> Description | None:
        """What is known of the table or view that is read; None of a SELECT."""
        table = self.window.rows
        if not isinstance(table, sa.Table):
            return None
        return Description(table, table.c[self.key[0]], self.columns, tuple(self.key))

    def row(self, raw: Raw) -> KeyedRow:
        found = self.columns.row((0, *raw[self.skip :]))
        assert isinstance(found, KeyedRow)  # noqa: S101 - the columns are those of rows that change
        return found

    def values(self, names: Sequence[str]) -> list[Value]:
        return [value for value in self.columns.values if value.name in names]


class WindowDescriber(Describer):
    """Finds out what the query of a feed by window is, again and again."""

    def __init__(self, asked: Asked, max_value_bytes: int) -> None:
        wanted = Wanted(asked.key, asked.columns, max_value_bytes=max_value_bytes)
        super().__init__(asked.name if asked.is_select else asked.source, wanted)
        self.asked = asked

    def query(self, connection: Connection) -> Query:
        """Raises TableError if it cannot be followed."""
        with own_types_expected(), self._explained():
            found = (self._of_select if self.asked.is_select else self._of_table)(connection)
            connection.execute(found.statement, {LIMIT: 0})  # whether it may be read
        return found

    # -- a table or view ------------------------------------------------------------------------

    def _of_table(self, connection: Connection) -> Query:
        asked, table = self.asked, self._reflect(connection)
        key = row_key_of(table, asked.key)
        found = self._columns(table, table.c[key[0]], key, connection.dialect.name)
        columns = _with_whole_key(found.values, key, found.max_bytes, found.gone)
        if asked.order_by is None:
            raise TableError(
                f"{asked.name}: say which rows are the newest, such as order_by={_likely(table)!r}"
            )
        order = order_of(asked.order_by, table, asked.name)
        derived = _is_view(connection, table)
        if not derived:
            _refuse_nulls(connection, table, order)
        return self._query(connection, table, key, columns, order, derived=derived)

    # -- a SELECT -------------------------------------------------------------------------------

    def _of_select(self, connection: Connection) -> Query:
        asked = self.asked
        if not asked.key:
            raise TableError(f"{asked.name}: a SELECT has no key of its own: name it (key=)")
        rows, own_order = as_rows(asked.source, asked.name)
        order = order_of(asked.order_by, rows, asked.name) if asked.order_by else own_order
        if not order:
            raise TableError(
                f"{asked.name}: the SELECT has no ORDER BY, so nobody can tell which rows are the "
                "newest; give it one, or say order_by="
            )
        key = (asked.key,) if isinstance(asked.key, str) else tuple(asked.key)
        names = self._names_of(rows, column_named(rows, key[0], asked.name))
        names = [*(name for name in key if name not in names), *names]
        chosen: list[Any] = [column_named(rows, name, asked.name) for name in names]
        values = values_of(chosen, None, connection.dialect.name, reflected=False)
        most = self._wanted.max_value_bytes
        columns = _with_whole_key(values, key, most, ())
        return self._query(connection, rows, key, columns, order, derived=True)

    def _names_of(self, rows: sa.FromClause, key: Any) -> Sequence[str]:
        chosen = self.asked.columns
        if callable(chosen):
            return [*chosen(rows, key)]
        return chosen or [name for name in rows.c.keys() if not name.startswith(HIDDEN)]  # noqa: SIM118

    def _query(
        self,
        connection: Connection,
        rows: sa.FromClause,
        key: Sequence[str],
        columns: Columns,
        order: Sequence[Ordered],
        *,
        derived: bool,
    ) -> Query:
        dialect = connection.dialect.name
        version = None if derived else version_of(connection, rows)  # type: ignore[arg-type]
        unsure = [part.by for part in order if derived and not part.nulls]
        first = [_null_flag(unsure)] if unsure else [] if version is None else [version]
        window = Window(dialect, rows, with_key(order, [rows.c[name] for name in key]))
        return Query(
            window,
            key,
            columns,
            len(first),
            derived,
            itemgetter(*(len(first) + columns.names.index(name) for name in key)),
            window.select([*first, *columns.at_once]),
            None
            if version is None
            else folded_by_server(connection, rows, window.select([version])),  # type: ignore[arg-type]
        )


def _with_whole_key(
    values: Sequence[Value], key: Sequence[str], most: int, gone: Sequence[str]
) -> ChangingColumns:
    """The columns, those of the key without a bound: of a part nobody could tell whose it is."""
    whole = [replace(one, size=None) if one.name in key else one for one in values]
    return ChangingColumns(whole, most, gone, (), [one.name for one in whole], key, None)


def _null_flag(unsure: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return sa.case((sa.or_(*(one.is_(None) for one in unsure)), 1)).label(NULL_FLAG)


def _is_view(connection: Connection, table: sa.Table) -> bool:
    inspector = sa.inspect(connection)
    views = [*inspector.get_view_names(table.schema)]
    if connection.dialect.name == "postgresql":
        views += inspector.get_materialized_view_names(table.schema)
    return table.name in views


def _refuse_nulls(connection: Connection, table: sa.Table, order: Sequence[Ordered]) -> None:
    inspector = sa.inspect(connection)
    nullable = {
        one["name"] for one in inspector.get_columns(table.name, table.schema) if one["nullable"]
    }
    nullable -= {*inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]}
    for part in order:
        name = getattr(part.by, "name", None)
        if name in nullable and not part.nulls:
            raise TableError(
                f"{table.name}.{name} may be NULL, and databases do not agree where such rows "
                f"come: make it NOT NULL, or say order_by={f'{name} nulls last'!r}"
            )


def _likely(table: sa.Table) -> str:
    """A column that may say which rows are the newest."""
    moments = [one.name for one in table.columns if isinstance(one.type, sa.DateTime | sa.Date)]
    return next(iter([*moments, *table.primary_key.columns.keys(), *table.columns.keys()]))
