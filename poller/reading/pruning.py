"""Old rows deleted, a few at a time: for `rowcast prune`.

The table is walked by its key, so many rows a step. Each step reads that many keys, and deletes
those of them that are old in a transaction of its own: it is short, whatever the size of the table,
locks rows in the order of the key, and replicas follow. What is old is decided once, by the
database's clock at the beginning.

**The newest rows stay, however old they are.** By them a feed knows that the table is still the
same (`polling/identity.py`), and SQLite without AUTOINCREMENT would give the greatest id again. In
a table with versions these are the rows with the newest versions, too: so it is the newest ones by
each unique integer column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import NoSuchTableError

from poller.reading.ages import Old, database_now
from poller.reading.database import Database
from poller.reading.description import TableError, own_types_expected, reflected
from poller.reading.naming import parts

NEWEST_KEPT = 8  # as many as `polling/identity.py` compares


def _rows(statement: sa.Select[Any], connection: Connection) -> Sequence[Any]:
    return connection.execute(statement).all()


class Step(NamedTuple):
    """One step of a walk: how many rows it looked at, how many of them were old, or are gone."""

    looked_at: int
    old: int


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is to be deleted from one table, or marked in the column `mark` as deleted."""

    database: Database
    table: sa.Table
    key: sa.Column[Any]
    old: sa.ColumnElement[bool]
    mark: sa.Column[Any] | None = None

    def count(self, rows: int) -> Iterator[Step]:
        """Look only, `rows` a step."""
        for keys in self._walk(rows):
            yield Step(len(keys), sum(is_old for _, is_old in keys))

    def prune(self, rows: int) -> Iterator[Step]:
        """Delete, or mark, at most `rows` a step. What was yielded is committed."""
        for keys in self._walk(rows):
            old = [key for key, is_old in keys if is_old]
            yield Step(len(keys), self._remove(old) if old else 0)

    def _walk(self, rows: int) -> Iterator[Sequence[tuple[Any, bool]]]:
        """All keys in their order, and whether each is old."""
        statement = sa.select(self.key, self.old.label("old")).order_by(self.key).limit(rows)
        after: list[sa.ColumnElement[bool]] = []
        while True:
            page = statement.where(*after)
            found = self.database.read(partial(_rows, page))
            if found:
                yield [(key, bool(is_old)) for key, is_old in found]
            if len(found) < rows:
                return
            after = [self.key > found[-1][0]]

    def _remove(self, keys: Sequence[Any]) -> int:
        """The condition is asked again: a row may have been changed since."""
        chosen = self.key.in_(keys) & self.old
        if self.mark is None:
            statement: sa.Delete | sa.Update = sa.delete(self.table).where(chosen)
        else:
            statement = sa.update(self.table).where(chosen).values({self.mark: _marked(self.mark)})
        return self.database.write(lambda connection: connection.execute(statement).rowcount)


def pruning(
    database: Database, name: str, old: Old, mark: str | None = None
) -> tuple[Pruning, str]:
    """What is to be pruned of the table `name`, and in words which rows are old. Raises TableError
    where it cannot be."""

    def prepare(connection: Connection) -> tuple[Pruning, str]:
        table = _table(name, connection)
        key, now = _key(table), database_now(connection)
        conditions = [old.condition(connection, table, key, now)]
        newest = {one for column in _numbers(table) for one in _newest(connection, key, column)}
        if newest:
            conditions.append(key.not_in(newest))
        column = None if mark is None else _mark(table, mark)
        if column is not None:
            conditions.append(_not_marked(column))
        found = Pruning(database, table, key, sa.and_(*conditions), column)
        return found, old.told(table, now)

    return database.read(prepare)


def _table(name: str, connection: Connection) -> sa.Table:
    """Raises TableError. What is no table, such as a view, has no primary key."""
    try:
        with own_types_expected():
            return reflected(*parts(name), connection)
    except NoSuchTableError:
        raise TableError(f"there is no table {name}") from None


def _key(table: sa.Table) -> sa.Column[Any]:
    """By which the table is walked: of any type that has an order and an index."""
    columns: list[sa.Column[Any]] = [*table.primary_key.columns]
    if len(columns) != 1:
        raise TableError(
            f"{table.name} has no primary key of one column, by which it could be walked"
        )
    return columns[0]


def _numbers(table: sa.Table) -> list[sa.Column[Any]]:
    """The key, and each integer column that is unique by itself: one may number the changes."""
    unique = [
        *(one.columns for one in table.constraints if isinstance(one, sa.UniqueConstraint)),
        *(one.columns for one in table.indexes if one.unique),
        table.primary_key.columns,
    ]
    alone = {column.name: column for columns in unique if len(columns) == 1 for column in columns}
    return [column for column in alone.values() if isinstance(column.type, sa.Integer)]


def _newest(connection: Connection, key: sa.Column[Any], column: sa.Column[Any]) -> Sequence[Any]:
    """The keys of the newest rows by this column."""
    statement = sa.select(key).where(column.is_not(None)).order_by(column.desc())
    return connection.scalars(statement.limit(NEWEST_KEPT)).all()


def _mark(table: sa.Table, name: str) -> sa.Column[Any]:
    """Raises TableError if it cannot say that a row is deleted."""
    if name not in table.c:
        raise TableError(f"{table.name} has no column {name}")
    column = table.c[name]
    if not isinstance(column.type, sa.Boolean | sa.Integer | sa.DateTime):
        raise TableError(
            f"{table.name}.{name} is {column.type}: only a time, a number or a "
            "boolean can mark a row as deleted"
        )
    return column


def _marked(column: sa.Column[Any]) -> Any:
    """What the column says of a row that is deleted: see docs/versions.md."""
    if isinstance(column.type, sa.Boolean):
        return True
    return 1 if isinstance(column.type, sa.Integer) else sa.func.current_timestamp()


def _not_marked(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    if isinstance(column.type, sa.DateTime):
        return column.is_(None)
    nothing = sa.false() if isinstance(column.type, sa.Boolean) else sa.literal(0)
    return sa.or_(column.is_(None), column == nothing)
