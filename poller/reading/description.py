"""What a watched table looks like in the database: its key, and the columns that streams get."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SAWarning
from sqlalchemy.types import NullType

from poller.reading.chosen import Choose
from poller.reading.database import is_refused
from poller.reading.dialects.postgresql_values import base_type
from poller.reading.filterable import ALLOWED, Filterable, filterable
from poller.reading.values import Columns, values_of

# A name of a schema or a table, in double quotes if it has a dot.
PART = r'"([^"]+)"|([^".]+)'
NAME = re.compile(rf"(?:(?:{PART})\.)?(?:{PART})")
NO_TYPE_WARNING = r"Did not recognize type|Could not instantiate type"


class TableError(Exception):
    """The table cannot be watched as it is; the text says what to do."""


def source_name(source: object) -> str:
    """The name under which a table, a mapped class or a table name is watched."""
    table = _table_of(source)
    return table.name if isinstance(table, sa.Table) else _parts(str(table))[1]


@dataclass(frozen=True, slots=True)
class Description:
    """A table that is there and can be read, its integer key, and the columns that are selected."""

    table: sa.Table
    key: sa.Column[Any]
    columns: Columns


class Describer:
    """Describes one source, again and again. Its arguments are those of `Table`."""

    def __init__(
        self,
        source: object,
        key: str | None,
        columns: Sequence[str] | Choose | None,
        max_value_bytes: int,
        filters: Sequence[str] = (),
    ) -> None:
        self.name = source_name(source)
        self._source = source
        self._key_name = key
        self._column_names = columns
        self._max_value_bytes = max_value_bytes
        self._filter_names = filters
        self._first_columns: list[str] = []

    def describe(self, connection: Connection) -> Description:
        """The table as it is now. Raises TableError if it cannot be watched."""
        with self._explained():
            table = self._reflect(connection)
            key = key_of(table, self._key_name)
            columns = self._columns(table, key, connection.dialect.name)
            # Whether it may be read.
            connection.execute(sa.select(key, *columns.at_once).limit(0))
        return Description(table, key, columns)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoSuchTableError:
            raise TableError(_not_there(str(_table_of(self._source)))) from None
        except DBAPIError as error:
            if is_refused(error):
                raise TableError(refused(self.name)) from None
            raise

    def _reflect(self, connection: Connection) -> sa.Table:
        table = _table_of(self._source)
        if not isinstance(table, sa.Table):
            return _reflected(*_parts(str(table)), connection)
        if not sa.inspect(connection).has_table(table.name, schema=table.schema):
            raise NoSuchTableError(table.name)
        return table

    def _columns(self, table: sa.Table, key: sa.Column[Any], dialect: str) -> Columns:
        names = self._names(table, key)
        read = [*names, *(name for name in self._filter_names if name not in names)]
        missing = [name for name in read if name not in table.c]
        if missing:
            nearest = difflib.get_close_matches(missing[0], [*table.c.keys()], n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise TableError(f"{self.name} has no column {missing[0]}{hint}")
        reflected = not isinstance(_table_of(self._source), sa.Table)
        columns = [table.c[name] for name in read]
        values = values_of(columns, key, dialect, reflected=reflected)
        gone = [name for name in self._first_columns if name not in table.c]
        filters = [self._filterable(table.c[name], dialect) for name in self._filter_names]
        return Columns(values, self._max_value_bytes, gone, filters, names)

    def _filterable(self, column: sa.Column[Any], dialect: str) -> Filterable:
        if (found := filterable(column, dialect)) is None:
            kind = str(column.type) if type(column.type) is not NullType else "not known"
            raise TableError(
                f"{self.name}.{column.name} cannot be a filter: its type is {kind}; {ALLOWED}"
            )
        return found

    def _names(self, table: sa.Table, key: sa.Column[Any]) -> Sequence[str]:
        """What was asked for, or what the table had when it was first looked at, as far as it is
        there: a column that is added later may be nobody's business."""
        if callable(self._column_names):
            return self._column_names(table, key)
        if self._column_names is not None:
            return self._column_names
        if not self._first_columns:
            self._first_columns = [column.name for column in table.columns]
        return [name for name in self._first_columns if name in table.c]


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


def source_table(source: object) -> sa.Table:
    """The table that is meant, with its schema; described only if the source describes it."""
    table = _table_of(source)
    if isinstance(table, sa.Table):
        return table
    schema, name = _parts(str(table))
    return sa.Table(name, sa.MetaData(), schema=schema)


def _table_of(source: object) -> object:
    return getattr(source, "__table__", source)


def _parts(name: str) -> tuple[str | None, str]:
    """Schema and table: `shop.orders`, `"a.b"`, `shop."a.b"`. Any other text is a table's name."""
    match = NAME.fullmatch(name)
    if match is None:
        return None, name
    quoted_schema, schema, quoted_table, table = match.groups()
    return quoted_schema or schema, quoted_table or table


def _not_there(name: str) -> str:
    hint = f"; for a table whose own name has a dot write '\"{name}\"'" if "." in name else ""
    return f"there is no table {name}; create it, or watch another{hint}"


def _reflected(schema: str | None, name: str, connection: Connection) -> sa.Table:
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
