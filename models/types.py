"""Column types that mean the same on SQLite, PostgreSQL and MariaDB.

Invariant: a moment read from the database is an aware datetime in UTC, and the database itself can
fill it in, so that a bare INSERT from any tool gives a right row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UTCDateTime(TypeDecorator[datetime]):
    """A moment. PostgreSQL keeps it with a zone; the others as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return mysql.DATETIME(fsp=6)  # plain DATETIME keeps whole seconds only
        return DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value!r}")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's clock in UTC, with at least milliseconds: for server defaults."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(utc_now)
def _now(_element: utc_now, _compiler: object, **_options: object) -> str:
    return "now()"


@compiles(utc_now, "sqlite")
def _sqlite_now(_element: utc_now, _compiler: object, **_options: object) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now'))"  # CURRENT_TIMESTAMP has whole seconds only


@compiles(utc_now, "mysql")
@compiles(utc_now, "mariadb")
def _mysql_now(_element: utc_now, _compiler: object, **_options: object) -> str:
    return "(utc_timestamp(6))"  # now() would be in the zone of the session
