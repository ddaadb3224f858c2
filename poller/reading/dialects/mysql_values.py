"""MariaDB and MySQL: columns as the server writes them, not as the driver converts them.

The driver makes a time of day of TIME, which goes to 838 hours and below zero, a float or a
Decimal in another notation of numbers, and has no value for 0000-00-00.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects.held import NO_TYPE, as_json, is_numeric

SIZED = (sa.String, sa.LargeBinary, sa.JSON, sa.types.NullType)


def held(column: ColumnElement[Any]) -> ColumnElement[Any]:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        moment = sa.func.replace(sa.cast(column, sa.CHAR), " ", "T")
        # A TIMESTAMP is a moment, shown in the session's zone, which is UTC.
        return sa.func.concat(moment, "Z") if isinstance(kind, sa.TIMESTAMP) else moment
    if isinstance(kind, sa.Date | sa.Time) or is_numeric(kind):
        return sa.cast(column, sa.CHAR)
    if isinstance(kind, mysql.BIT):
        return sa.cast(column, mysql.BIGINT(unsigned=True))
    if isinstance(kind, sa.JSON):  # MySQL's; MariaDB's is a text with a CHECK
        return as_json(column)
    return sa.type_coerce(column, NO_TYPE)


def size(column: ColumnElement[Any]) -> ColumnElement[Any] | None:
    kind = column.type
    if isinstance(kind, SIZED) and not isinstance(kind, sa.Enum | mysql.SET):
        return sa.func.octet_length(column)
    return None
