"""PostgreSQL: columns as the server writes them, not as the driver converts them.

The driver makes Python values of dates, intervals, numbers, ranges, addresses and JSON, and has
none for `infinity`, a year BC, 24:00 or a month in an interval. So these are written by the
server: as text, dates and arrays as its own JSON has them, which no `datestyle` changes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql.ranges import AbstractMultiRange, AbstractRange
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from poller.reading.dialects.held import NO_TYPE, as_json, is_numeric

AS_TEXT = (sa.Time, sa.Interval, pg.INTERVAL, sa.Uuid, pg.CIDR, AbstractRange, AbstractMultiRange)
# Of types that are not here, or whose text is short by declaration, a value may be of any size.
SHORT = (
    sa.Integer,
    sa.Float,
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.Time,
    sa.Interval,
    pg.INTERVAL,
    sa.Uuid,
    sa.Enum,
    pg.INET,
    pg.CIDR,
    pg.MACADDR,
    pg.MACADDR8,
    pg.MONEY,
    pg.OID,
    pg.REGCLASS,
)


def base_type(of: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type under a domain, or under domains of domains."""
    while isinstance(of, pg.DOMAIN):
        of = of.data_type
    return of


def held(column: ColumnElement[Any]) -> ColumnElement[Any]:
    kind = column.type
    if isinstance(kind, sa.Date | sa.DateTime | pg.INET):
        return _moment(kind, sa.func.btrim(_json(column), '"'))
    if isinstance(kind, sa.JSON):
        return as_json(sa.cast(column, sa.Text))
    if isinstance(kind, sa.ARRAY):
        return _array(column, base_type(kind.item_type))
    if isinstance(kind, AS_TEXT) or is_numeric(kind):
        return sa.cast(column, sa.Text)
    return sa.type_coerce(column, NO_TYPE)


def size(column: ColumnElement[Any]) -> ColumnElement[Any] | None:
    kind = base_type(column.type)
    if isinstance(kind, SHORT) or (is_numeric(kind) and kind.precision is not None):
        return None
    if isinstance(kind, sa.LargeBinary):
        return sa.func.octet_length(column)
    # A cast that costs nothing if it is text; an application may call text what is JSON.
    return sa.func.octet_length(sa.cast(column, sa.Text))


def _array(column: ColumnElement[Any], item: TypeEngine[Any]) -> ColumnElement[Any]:
    if isinstance(item, sa.LargeBinary):
        return sa.type_coerce(column, NO_TYPE)  # the driver's lists of bytes; JSON knows no bytes
    if is_numeric(item):
        # As text, or a reader would make doubles of 1.10 and 0.1234567890123456789.
        return as_json(_json(sa.cast(column, pg.ARRAY(sa.Text))))
    return as_json(_moment(item, _json(column)))


def _json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.cast(sa.func.to_json(column), sa.Text)


def _moment(kind: TypeEngine[Any], text: ColumnElement[Any]) -> ColumnElement[Any]:
    """With a zone, which is the session's: UTC, written as the encoder writes it."""
    if isinstance(kind, sa.DateTime) and kind.timezone:
        return sa.func.replace(text, "+00:00", "Z")
    return text
