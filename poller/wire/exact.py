"""Values by which rows are told apart: compared by type and value, as no database's `=` does it.

In Python `1 == True == 1.0`, so a truth value gets a form of its own. There are no floats,
decimals, dates or bytes: what a driver gives of them need not equal what was asked for. Pure.
"""

from __future__ import annotations

import enum
from uuid import UUID

Value = int | str | bool | UUID | enum.Enum | None
Exact = int | str | tuple[str, bool] | None

TRUE: Exact = ("boolean", True)
FALSE: Exact = ("boolean", False)
NO_VALUE: Exact = ("no value of this type", False)  # equal to none that is asked for


def exact(value: object) -> Exact:
    """The form in which two values are equal only if their types are. Raises ValueError for a type
    that is not compared."""
    match value:
        case enum.Enum():
            return exact(value.value)
        case None:
            return None
        case bool():
            return TRUE if value else FALSE
        case int():
            return int(value)
        case str():
            return str(value)
        case UUID():
            return str(value)
    raise ValueError(f"rows are not told apart by a value of type {type(value).__name__}")


def text_of(value: Exact) -> str:
    """A text that no other value has."""
    match value:
        case None:
            return "null"
        case int():
            return f"integer {value}"
        case str():
            return f"text {value}"
        case kind, truth:
            return f"{kind} {truth}"
