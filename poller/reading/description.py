"""What a watched table looks like in the database: its key, and the columns that streams get."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SAWarning
from sqlalchemy.types import NullType

from poller.reading.changes import ChangingColumns
from poller.reading.chosen import Chosen, Said
from poller.reading.database import is_refused
from poller.reading.dialects.postgresql_values import base_type
from poller.reading.filterable import ALLOWED, Filterable, filterable
from poller.reading.frozen import FrozenError
from poller.reading.naming import parts, source_name, table_of
from poller.reading.values import Columns, values_of
from poller.runtime.settings import MAX_VALUE_BYTES
from poller.wire.row import RESERVED

NO_TYPE_WARNING = r"Did not recognize type|Could not instantiate type"


Key = str | Sequence[str] | None


class TableError(Exception):
    """The table cannot be watched as it is; the text says what to do. A `hint` may name what is not
    for strangers, such as another column; `bare` is the text without it."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text + hint)
        self.bare = text


@dataclass(frozen=True, slots=True)
class Description:
    """A table that is there and can be read, the integer column that its cursor follows, and the
    columns that are selected. `row_key` are the names of those that tell one row from another, if
    rows may change: `key` is then the version."""

    table: sa.Table
    key: sa.Column[Any]
    columns: Columns
    row_key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read of a source: see `Table`."""

    key: Key = None
    columns: Said = None
    version: str | None = None
    deleted: str | None = None
    max_value_bytes: int = MAX_VALUE_BYTES
    filters: Sequence[str] = ()


class Describer:
    """Describes one source, again and again."""

    def __init__(self, source: object, wanted: Wanted) -> None:
        self.name = source_name(source)
        self._source = source
        self._wanted = wanted
        self._chosen = Chosen(wanted.columns)

    def describe(self, connection: Connection) -> Description:
        """The table as it is now. Raises TableError if it cannot be watched."""
        with self._explained():
            table = self._reflect(connection)
            key, row_key = self._keys(table)
            columns = self._columns(table, key, row_key, connection.dialect.name)
            # Whether it may be read.
            connection.execute(sa.select(key, *columns.at_once).limit(0))
        return Description(table, key, columns, row_key)

    def _keys(self, table: sa.Table) -> tuple[sa.Column[Any], tuple[str, ...]]:
        """The column of the cursor, and what tells a row if rows may change."""
        wanted = self._wanted
        if wanted.version is not None:
            return version_of(table, wanted.version), row_key_of(table, wanted.key)
        if wanted.key is not None and not isinstance(wanted.key, str):
            raise TableError(f"{table.name} needs a key of one column: only a version= takes more")
        return key_of(table, wanted.key), ()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoSuchTableError:
            raise TableError(_not_there(str(table_of(self._source)))) from None
        except FrozenError as error:
            raise TableError(str(error)) from None
        except DBAPIError as error:
            if is_refused(error):
                raise TableError(refused(self.name)) from None
            raise

    def _reflect(self, connection: Connection) -> sa.Table:
        table = table_of(self._source)
        if not isinstance(table, sa.Table):
            return reflected(*parts(str(table)), connection)
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            raise NoSuchTableError(table.name)
        return table

    def _columns(
        self, table: sa.Table, key: sa.Column[Any], row_key: Sequence[str], dialect: str
    ) -> Columns:
        names = self._chosen.names(table, table.c[row_key[0]] if row_key else key)
        names = [*(name for name in row_key if name not in names), *names]
        read = [*names, *(name for name in self._wanted.filters if name not in names)]
        self._check_names(table, read)
        reflected = not isinstance(table_of(self._source), sa.Table)
        columns = [table.c[name] for name in read]
        values = values_of(columns, key, dialect, reflected=reflected)
        gone = self._chosen.gone(table)
        filters = [self._filterable(table.c[name], dialect) for name in self._wanted.filters]
        found = values, self._wanted.max_value_bytes, gone, filters, names
        if not row_key:
            return Columns(*found)
        mark = None if self._wanted.deleted is None else table.c[self._wanted.deleted]
        return ChangingColumns(*found, row_key, mark)

    def _check_names(self, table: sa.Table, names: Sequence[str]) -> None:
        deleted = [] if self._wanted.deleted is None else [self._wanted.deleted]
        for name in (*names, *deleted):
            if name not in table.c:
                nearest = difflib.get_close_matches(name, [*table.c.keys()], n=1)
                hint = f"; did you mean {nearest[0]}?" if nearest else ""
                raise TableError(f"{self.name} has no column {name}", hint)
        for name in RESERVED.intersection(names):
            raise TableError(
                f"{self.name} has a column {name}, a name that Rowcast's own answers use: leave it "
                "out (columns=, --columns), or rename it"
            )

    def _filterable(self, column: sa.Column[Any], dialect: str) -> Filterable:
        if (found := filterable(column, dialect)) is None:
            kind = str(column.type) if type(column.type) is not NullType else "not known"
            raise TableError(
                f"{self.name}.{column.name} cannot be a filter: its type is {kind}; {ALLOWED}"
            )
        return found


def key_of(table: sa.Table, name: str | None) -> sa.Column[Any]:
    """The column `name`, by default the primary key. Raises TableError if it can be no key."""
    if name is not None:
        if name not in table.c:
            raise TableError(f"{table.name} has no column {name}: name an integer one")
        key = table.c[name]
    elif len(table.primary_key.columns) == 1:
        key = next(iter(table.primary_key.columns))
    else:
        raise TableError(
            f"{table.name} has no primary key of one column: name an integer key (key=, --key)"
        )
    if not isinstance(key.type, sa.Integer):
        raise TableError(
            f"{table.name}.{key.name} is not an integer: name another column (key=, --key)"
        )
    return key


def version_of(table: sa.Table, name: str) -> sa.Column[Any]:
    """The column of the versions. Raises TableError if it can be none."""
    if name not in table.c:
        raise TableError(
            f"{table.name} has no column {name} for versions; docs/versions.md has the SQL that "
            "adds one"
        )
    if not isinstance(table.c[name].type, sa.Integer):
        raise TableError(
            f"{table.name}.{name} is not an integer: versions are numbers that the database gives "
            "out; a time of the last change can miss changes (docs/versions.md)"
        )
    return table.c[name]


def row_key_of(table: sa.Table, key: Key) -> tuple[str, ...]:
    """The columns that tell a row, by default the primary key. Raises TableError without one."""
    if key is None:
        names = tuple(column.name for column in table.primary_key.columns)
    else:
        names = (key,) if isinstance(key, str) else tuple(key)
    if not names:
        raise TableError(
            f"{table.name} has no primary key: name the columns that tell its rows apart (key=, "
            "--key)"
        )
    for name in names:
        if name not in table.c:
            raise TableError(f"{table.name} has no column {name}: name the key of its rows")
    return names


def refused(name: str) -> str:
    """That a table may not be read, and what to do."""
    return f"this user may not read {name}; grant it SELECT, and on PostgreSQL USAGE of its schema"


@contextmanager
def own_types_expected() -> Iterator[None]:
    """Within it SQLAlchemy does not warn of types that it does not know: they are read as they are.

    Not safe with threads, or greenlets that wait: of two that overlap, one may leave the filter.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", NO_TYPE_WARNING, SAWarning)
        yield


def _not_there(name: str) -> str:
    hint = f"; for a table whose own name has a dot write '\"{name}\"'" if "." in name else ""
    return f"there is no table {name}; create it, or watch another{hint}"


def reflected(schema: str | None, name: str, connection: Connection) -> sa.Table:
    """The table as the database has it. Those that its foreign keys name are none of our business,
    and may be nobody's to read."""
    of_sqlite = connection.dialect.name == "sqlite"
    if of_sqlite and schema not in {None, *sa.inspect(connection).get_schema_names()}:
        raise NoSuchTableError(name)  # SQLite itself calls it an unknown database
    table = sa.Table(
        name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False
    )
    for column in table.columns:
        column.type = base_type(column.type)
    return table
