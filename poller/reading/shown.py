"""A table's columns as people see them: the names of types, what kind of value to expect, and an
INSERT that the table would take.

It only reads what a table was found to be; no query is made here.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.engine import URL
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import sqltypes
from sqlalchemy.types import TypeEngine

from poller.reading.database import Database
from poller.reading.description import Description

# What is said of a type beside its name.
BESIDE = re.compile(r"\s+(?:CHARACTER SET \S+|COLLATE \S+)", re.IGNORECASE)
SHORT = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "double precision": "double",
}
KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (sa.Boolean, "bool"),
    (sa.Integer, "num"),
    (sa.Numeric, "num"),
    (sa.JSON, "json"),
    (sa.ARRAY, "json"),
    (sa.Uuid, "uuid"),
    (sqltypes._Binary, "bytes"),  # noqa: SLF001 - LargeBinary and BINARY have no other base
    (sa.DateTime, "text-time"),
    (sa.Date, "date"),
    (sa.Enum, "enum"),
)
# SQLite keeps no zone, but what it calls now is in UTC.
UTC_DEFAULT = re.compile(r"current_timestamp|(?:date)?time\(|strftime\(", re.IGNORECASE)
SAMPLES = {
    "num": "1",
    "json": "'{}'",
    "bytes": "''",
    "text-time": "CURRENT_TIMESTAMP",
    "time": "CURRENT_TIMESTAMP",
    "date": "CURRENT_DATE",
    "uuid": "'00000000-0000-4000-8000-000000000000'",
}
TEXT = "Hello"
MOST_OPTIONAL = 3  # columns in an INSERT that needs none


class Shown(NamedTuple):
    """A column. `kind` says how a value is shown: num, bool, json, uuid, bytes, time (a moment, its
    zone known), text-time, date, enum or text."""

    name: str
    type: str
    kind: str


def columns(description: Description, database: Database) -> list[Shown]:
    """Those that streams get, in their order."""
    dialect = database.url.get_dialect()()
    found = [description.table.c[name] for name in description.columns.names]
    return [
        Shown(one.name, _type_name(one.type, dialect), _kind(one, database.dialect))
        for one in found
    ]


def came_column(description: Description, database: Database) -> str | None:
    """The column in which the database writes when a row was inserted, if there is one."""
    for name in description.columns.names:
        column = description.table.c[name]
        if column.server_default is not None and _kind(column, database.dialect) == "time":
            return name
    return None


def insert(description: Description, database: Database) -> str:
    """An INSERT with the columns that need a value, or some of the others."""
    dialect = database.url.get_dialect()()
    quote = dialect.identifier_preparer.quote
    table = dialect.identifier_preparer.format_table(description.table)
    free = [one for one in description.table.columns if _is_given(one, description.key)]
    needed = [one for one in free if not one.nullable] or free[:MOST_OPTIONAL]
    if not needed:
        empty = "() VALUES ()" if database.dialect in ("mysql", "mariadb") else "DEFAULT VALUES"
        return f"INSERT INTO {table} {empty};"
    names = ", ".join(quote(one.name) for one in needed)
    values = ", ".join(_sample(one, database.dialect) for one in needed)
    return f"INSERT INTO {table} ({names})\nVALUES ({values});"


def client(database: Database) -> str:
    """The command that opens the database with its own client, without a password."""
    url = as_given(database.url)
    match database.dialect:
        case "sqlite":
            return f"sqlite3 {shlex.quote(str(url.database))}"
        case "postgresql":
            bare = url.set(drivername="postgresql", query={})._replace(password=None)
            return f"psql {shlex.quote(bare.render_as_string(hide_password=False))}"
        case "mysql" | "mariadb":
            given = {"-h": url.host, "-P": url.port, "-u": url.username}
            options = [f"{name} {shlex.quote(str(one))}" for name, one in given.items() if one]
            return " ".join(["mariadb", *options, "-p", shlex.quote(str(url.database))])
        case _:
            return ""


def database_name(url: URL) -> str:
    """Which database it is, in a word."""
    name = str(as_given(url).database or "")
    return name.rpartition("/")[2] if url.get_backend_name() == "sqlite" else name


def as_given(url: URL) -> URL:
    """Without what opens an SQLite file to read."""
    if url.get_backend_name() == "sqlite" and "uri" in url.query:
        from urllib.parse import unquote

        return url.set(database=unquote(str(url.database).removeprefix("file:")), query={})
    return url


def _type_name(kind: TypeEngine[Any], dialect: sa.Dialect) -> str:
    try:
        name = BESIDE.sub("", kind.compile(dialect=dialect)).lower()
    except CompileError:  # of no type, as SQLite has it, or of one that SQLAlchemy does not know
        return ""
    return SHORT.get(name, name.replace(", ", ","))


def _kind(column: sa.Column[Any], dialect: str) -> str:
    found = next((kind for of, kind in KINDS if isinstance(column.type, of)), "text")
    if found != "text-time":
        return found
    is_utc = dialect == "sqlite" and UTC_DEFAULT.search(_default(column))
    zoned = getattr(column.type, "timezone", False) or (
        dialect in ("mysql", "mariadb") and isinstance(column.type, sa.TIMESTAMP)
    )
    return "time" if is_utc or zoned else found


def _default(column: sa.Column[Any]) -> str:
    default = column.server_default
    return str(getattr(default, "arg", "")) if default is not None else ""


def _is_given(column: sa.Column[Any], key: sa.Column[Any]) -> bool:
    """Whether whoever inserts has to say it, or might."""
    if column.server_default is not None or column.computed is not None:
        return False
    return not (column is key and column.primary_key)


def _sample(column: sa.Column[Any], dialect: str) -> str:
    kind = _kind(column, dialect)
    if kind == "bool":
        return "1" if dialect == "sqlite" else "true"
    if kind == "enum" and (labels := getattr(column.type, "enums", None)):
        return _quoted(labels[0])
    # MariaDB has no type for JSON: a text that must be JSON, whose check is not in its columns.
    if isinstance(column.type, sa.ARRAY | LONGTEXT):
        return "'{}'"
    if kind in SAMPLES:
        return SAMPLES[kind]
    return _quoted(TEXT[: getattr(column.type, "length", None) or len(TEXT)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
