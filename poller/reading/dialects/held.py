"""What the dialects' values are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import NullType, TypeEngine, UserDefinedType

from poller.wire.json_text import JsonText

NO_TYPE: TypeEngine[Any] = NullType()  # whatever the driver brings


class HeldJson(UserDefinedType[str]):
    """Text that is JSON, and is sent as it is."""

    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda text: None if text is None else JsonText(text)


def as_json(text: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.type_coerce(text, HeldJson())


def is_numeric(kind: TypeEngine[Any]) -> TypeGuard[sa.Numeric[Any]]:
    """NUMERIC or DECIMAL: digits, which a float would round."""
    return isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float)
