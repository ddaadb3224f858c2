"""Which rows are old: by a time in a column, or by how many are newer.

A time is compared with the database's clock, in UTC as Rowcast's sessions are. A time without a
zone is taken for UTC, whatever the writer meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.description import TableError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
LONGEST_S = 1000 * 365 * 86_400
_KEEP = re.compile(r"(\d{1,12}) ?(s|m|h|d|w|rows)", re.ASCII)
_MS_FROM = 100_000_000_000  # a number above it is in milliseconds: of 1973, or of the year 5138


class Old(Protocol):
    """`condition()` is true of the rows that are old at `now`; raises TableError if nobody can
    tell. `told()` says it in words."""

    def condition(
        self, connection: Connection, table: sa.Table, key: sa.Column[Any], now: datetime
    ) -> sa.ColumnElement[bool]: ...
    def told(self, table: sa.Table, now: datetime) -> str: ...


@dataclass(frozen=True, slots=True)
class OlderThan:
    """Rows whose time, in the column `by`, is longer ago than `keep_s`."""

    keep_s: int
    by: str | None = None

    def condition(
        self, connection: Connection, table: sa.Table, key: sa.Column[Any], now: datetime
    ) -> sa.ColumnElement[bool]:
        column, limit = time_column(table, self.by, connection.dialect.name), self._limit(now)
        if connection.dialect.name == "sqlite":
            return _of_sqlite(column) < limit.strftime("%Y-%m-%d %H:%M:%S")
        if isinstance(column.type, sa.Integer):
            return column < _unix(connection, column, key, limit)
        if isinstance(column.type, sa.Date):
            return column < limit.date()
        with_zone = getattr(column.type, "timezone", False)
        return column < (limit if with_zone else limit.replace(tzinfo=None))

    def told(self, table: sa.Table, now: datetime) -> str:
        by = time_column(table, self.by).name
        return f"rows with {by} before {self._limit(now):%Y-%m-%d %H:%M:%S} UTC"

    def _limit(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.keep_s)


@dataclass(frozen=True, slots=True)
class AllBut:
    """All but the `rows` with the greatest keys."""

    rows: int

    def condition(
        self, connection: Connection, table: sa.Table, key: sa.Column[Any], now: datetime
    ) -> sa.ColumnElement[bool]:
        if not isinstance(key.type, sa.Integer):
            raise TableError(f"{table.name}.{key.name} is no number: nobody knows the newest rows")
        newest = sa.select(key).order_by(key.desc()).offset(self.rows).limit(1)
        last = connection.scalar(newest)
        return sa.false() if last is None else key <= last

    def told(self, table: sa.Table, now: datetime) -> str:
        return f"all rows but the newest {self.rows:,}"


def old_of(keep: str, by: str | None) -> Old:
    """What `--keep` says. Raises ValueError in words."""
    found = _KEEP.fullmatch(keep.strip().lower())
    if found is None:
        raise ValueError(f"--keep {keep!r}: say 90d, 12h, 30m, 2w, or 10000rows")
    count, unit = int(found[1]), found[2]
    if unit == "rows":
        if by is not None:
            raise ValueError("--by is for a time; --keep ROWS goes by the key")
        return AllBut(count)
    if count * UNITS_S[unit] > LONGEST_S:
        raise ValueError(f"--keep {keep!r} is longer than any table is old")
    return OlderThan(count * UNITS_S[unit], by)


def time_column(table: sa.Table, name: str | None, dialect: str = "") -> sa.Column[Any]:
    """The column `name`, else the one that says when a row was made. Raises TableError."""
    if name is not None:
        if name not in table.c:
            raise TableError(f"{table.name} has no column {name}")
        column = table.c[name]
        if dialect in ("", "sqlite") or isinstance(column.type, sa.DateTime | sa.Date | sa.Integer):
            return column
        raise TableError(f"{table.name}.{name} is {column.type}, and no time: name another, --by")
    times = [column for column in table.c if isinstance(column.type, sa.DateTime | sa.Date)]
    always = [column for column in times if not column.nullable]
    if len(always) == 1 or len(times) == 1:
        return (always or times)[0]
    if not times:
        raise TableError(f"{table.name} has no column of a time: name what says it with --by")
    names = ", ".join(column.name for column in times)
    raise TableError(f"{table.name} has several times ({names}): name one with --by")


def database_now(connection: Connection) -> datetime:
    """The database's clock."""
    said: Any = connection.scalar(sa.select(sa.func.current_timestamp()))
    at: datetime = datetime.fromisoformat(said) if isinstance(said, str) else said
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _of_sqlite(column: sa.Column[Any]) -> sa.ColumnElement[str]:
    """As `YYYY-MM-DD HH:MM:SS`, NULL where it is no time: SQLite has times as texts of several
    forms, as Unix seconds or milliseconds, or as Julian days."""
    plain = sa.type_coerce(column, sa.types.NullType)
    seconds = sa.case((plain > _MS_FROM, plain / 1000), else_=plain)
    return sa.case(
        (sa.func.typeof(plain) == "integer", sa.func.datetime(seconds, "unixepoch")),
        else_=sa.func.datetime(plain),
    )


def _unix(
    connection: Connection, column: sa.Column[Any], key: sa.Column[Any], limit: datetime
) -> int:
    """In seconds, or in milliseconds if that of the last row is."""
    last = sa.select(column).where(column.is_not(None)).order_by(key.desc()).limit(1)
    in_ms = (connection.scalar(last) or 0) > _MS_FROM
    return int(limit.timestamp() * (1000 if in_ms else 1))
