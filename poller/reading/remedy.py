"""What to do about a table that cannot be watched: the right name, or a new integer key in the SQL
of its database.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poller.reading.database import raise_if_away
from poller.reading.dialects.facts import quoted_name
from poller.reading.dialects.key import partitioned_by, unique_columns
from poller.reading.dialects.shapes import Column, Inspects
from poller.reading.naming import source_table

NEW_KEY = "rowcast_id"
LIKENESS = 0.7  # of two names, from 0 to 1
Quote = Callable[[str], str]


def lines(
    connection: Connection, source: object, key: str | None, inspector: Inspects | None = None
) -> Sequence[str]:
    """For a person; empty if there is nothing to advise. `source` and `key` are `Table`'s."""
    told = inspector or sa.inspect(connection)
    return [*_advice(connection, told, source_table(source), key)]


def fit_columns(inspector: Inspects, table: sa.Table) -> list[str]:
    """The integer columns that can be the key of a table whose primary key cannot."""
    unique = unique_columns(inspector, table)
    columns = inspector.get_columns(table.name, table.schema)
    return [one["name"] for one in columns if _fits(one, unique)]


def _advice(
    connection: Connection, inspector: Inspects, table: sa.Table, key: str | None
) -> Iterator[str]:
    tables = inspector.get_table_names(table.schema)
    names = [*tables, *inspector.get_view_names(table.schema)]
    if table.name not in names and not _is_there(inspector, table):
        yield from _did_you_mean(table.name, names)
        return
    columns = inspector.get_columns(table.name, table.schema)
    integers = [one["name"] for one in columns if isinstance(one["type"], sa.Integer)]
    if key is not None and key not in [one["name"] for one in columns]:
        yield from _did_you_mean(key, integers)
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    if len(primary) == 1 and primary[0] in integers:  # a good key
        if key is not None:
            yield f"Its primary key {primary[0]} can be watched: leave key= or --key out."
        return
    if fit := fit_columns(inspector, table):
        yield f"An integer column that can be the key: {', '.join(fit)}. Name it: --key {fit[0]}"
    elif table.name in tables:
        yield f"Give it an integer key, then name that: --key {NEW_KEY}"
        yield ""
        yield from _new_key(connection, inspector, table)
    elif integers:
        yield f"If no two of its rows have the same {integers[0]}, name it: --key {integers[0]}"


def _is_there(inspector: Inspects, table: sa.Table) -> bool:
    """Also if it is a materialized view or a foreign table. MariaDB refuses to say so of a table
    for which the user has no privilege at all."""
    try:
        return inspector.has_table(table.name, table.schema)
    except DBAPIError as error:
        raise_if_away(error)
        return False


def _fits(column: Column, unique: Sequence[Sequence[str]]) -> bool:
    """Whether its values differ: by a unique index, or since the database numbers the rows."""
    numbered = column.get("identity") or column.get("autoincrement") is True
    return isinstance(column["type"], sa.Integer) and bool(
        numbered or [column["name"]] in [[*columns] for columns in unique]
    )


def _did_you_mean(name: str, names: Sequence[str]) -> Iterator[str]:
    if nearest := difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS):
        yield f"Did you mean {nearest[0]}?"


def _new_key(connection: Connection, inspector: Inspects, table: sa.Table) -> Iterator[str]:
    """The statements. On PostgreSQL and MySQL they lock the table while all rows get a number."""
    name = quoted_name(connection, table)
    match connection.dialect.name:
        case "postgresql" if partitioned_by(connection, table, inspector):
            # No unique index without the partitions' column. The sequence gives no value twice.
            yield f"ALTER TABLE {name} ADD COLUMN {NEW_KEY} bigserial;"
            yield f"CREATE INDEX ON {name} ({NEW_KEY});"
        case "postgresql":
            identity = "bigint GENERATED ALWAYS AS IDENTITY UNIQUE"
            yield f"ALTER TABLE {name} ADD COLUMN {NEW_KEY} {identity};"
        case "mysql" | "mariadb":
            index = "INDEX" if partitioned_by(connection, table, inspector) else "UNIQUE"
            column = f"{NEW_KEY} BIGINT NOT NULL AUTO_INCREMENT"
            yield f"ALTER TABLE {name} ADD COLUMN {column}, ADD {index} ({NEW_KEY});"
        case "sqlite":
            quote = connection.dialect.identifier_preparer.quote
            yield from _new_sqlite_table(inspector, table, quote)


def _new_sqlite_table(inspector: Inspects, table: sa.Table, quote: Quote) -> Iterator[str]:
    """SQLite numbers a primary key only, and adds none to a table that is there.

    A primary key of SQLite takes NULL unless it says NOT NULL, and so must the new table: where the
    INSERT fails, a shell goes on with DROP TABLE. It does so, too, where the file is locked. The
    PRAGMA lets views and triggers name the table while it is away.
    """
    columns = inspector.get_columns(table.name, table.schema)
    names = ", ".join(quote(one["name"]) for one in columns)
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    defined = [f"{NEW_KEY} INTEGER PRIMARY KEY AUTOINCREMENT"]
    for one in columns:
        null = "" if one["nullable"] else " NOT NULL"
        default = f" DEFAULT ({one['default']})" if one["default"] is not None else ""
        defined.append(f"{quote(one['name'])} {one['type']}{null}{default}")
    if primary:
        defined.append(f"UNIQUE ({', '.join(map(quote, primary))})")
    made, old = quote(f"{table.name}_with_key"), quote(table.name)
    yield "-- Run it with sqlite3 -bail, which stops at an error: the old table goes at the end."
    yield "-- If it has checks, collations, foreign keys or generated columns, write them into the"
    yield "-- new table first. Then create its indexes and triggers again."
    yield "PRAGMA legacy_alter_table = ON;"
    yield "BEGIN IMMEDIATE;"
    yield f"CREATE TABLE {made} ({', '.join(defined)});"
    yield f"INSERT INTO {made} ({names}) SELECT {names} FROM {old};"  # noqa: S608 - quoted
    yield f"DROP TABLE {old};"
    yield f"ALTER TABLE {made} RENAME TO {old};"
    yield "COMMIT;"
