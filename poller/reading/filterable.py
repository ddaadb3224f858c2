"""Columns by which streams may be filtered: what is asked of them, what a row has, and in SQL.

SQL narrows, Python decides. On MariaDB `= 'ann'` also finds Ann, 'ann ' and änn, on SQLite it may,
and a text that is compared with 0 gives every row. So what a query brings is compared again, here,
by type and value. Where SQL finds *less* than Python does, a row would be lost: MariaDB's `= 0.1`
finds no FLOAT of which the driver says 0.1. So only types are allowed for which it cannot.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from poller.ids.ranges import MAX_ID
from poller.wire.exact import FALSE, NO_VALUE, TRUE, Exact, exact

LONGEST_TEXT = 1_000  # characters that are asked for
SHOWN_CHARS = 40  # of what was asked for, in an error's text
ALLOWED = "integer, text, boolean, uuid and enum columns can"

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


class Kind(Protocol):
    """How values of one type are compared.

    `asked(given)`: from a text of a query, or a Python value of the type. Raises ValueError, in
    words that follow the column's name, for anything that is not written just as the type's values
    are. `held(found)`: from what a row has. `bound(value)`: to be compared with the column in SQL.
    """

    def asked(self, given: object) -> Exact: ...
    def held(self, found: object) -> Exact: ...
    def bound(self, value: Exact) -> object: ...


class Integer:
    def asked(self, given: object) -> Exact:
        if isinstance(given, str) and _INTEGER.fullmatch(given):
            given = int(given)
        if type(given) is not int or not -MAX_ID <= given <= MAX_ID:
            raise ValueError(f"{_shown(given)} is not an integer, as in 7")
        return given

    def held(self, found: object) -> Exact:
        return found if type(found) is int else NO_VALUE

    def bound(self, value: Exact) -> object:
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """`padded`: the database fills its values up with blanks, or takes those at the end away."""

    padded: bool = False

    def asked(self, given: object) -> Exact:
        if not isinstance(given, str):
            raise ValueError(f"{_shown(given)} is not a text")  # noqa: TRY004 - nor need it be one
        if len(given) > LONGEST_TEXT or "\0" in given or not _is_unicode(given):
            raise ValueError(f"{_shown(given)} is too long, or no text that a database can hold")
        return self.held(given)

    def held(self, found: object) -> Exact:
        if not isinstance(found, str):
            return NO_VALUE
        return found.rstrip(" ") if self.padded else str(found)

    def bound(self, value: Exact) -> object:
        return value


class Boolean:
    """SQLite's are integers."""

    def asked(self, given: object) -> Exact:
        if given is True or given == "true":
            return TRUE
        if given is False or given == "false":
            return FALSE
        raise ValueError(f"{_shown(given)} is neither true nor false")

    def held(self, found: object) -> Exact:
        if not isinstance(found, int) or found not in (0, 1):
            return NO_VALUE
        return TRUE if found else FALSE

    def bound(self, value: Exact) -> object:
        return value == TRUE


@dataclass(frozen=True, slots=True)
class Uuid:
    as_uuid: bool

    def asked(self, given: object) -> Exact:
        text = str(given) if isinstance(given, str | UUID) else ""
        if (value := self.held(text)) != text:
            raise ValueError(
                f"{_shown(given)} is not a UUID, as in 1b4e28ba-2fa1-11d2-883f-0016d3cca427"
            )
        return value

    def held(self, found: object) -> Exact:
        try:
            return str(UUID(str(found)))
        except ValueError:
            return NO_VALUE

    def bound(self, value: Exact) -> object:
        return UUID(str(value)) if self.as_uuid else value


class Enum:
    """`labels` are what a row has: texts, or the members of the application's class."""

    def __init__(self, labels: Sequence[object]) -> None:
        self._labels = {exact(label): label for label in labels}
        self._by_text = {str(value): value for value in self._labels}

    def asked(self, given: object) -> Exact:
        value = exact(given) if isinstance(given, int | str | enum.Enum) else NO_VALUE
        if value in self._labels:
            return value
        if isinstance(given, str) and given in self._by_text:
            return self._by_text[given]
        raise ValueError(f"{_shown(given)} is none of {', '.join(self._by_text)}")

    def held(self, found: object) -> Exact:
        try:
            return exact(found)
        except ValueError:
            return NO_VALUE

    def bound(self, value: Exact) -> object:
        return self._labels[value]


@dataclass(frozen=True, slots=True)
class Filterable:
    """A column that streams may be filtered by. NULL is a value of each: None."""

    name: str
    column: ColumnElement[Any]
    kind: Kind

    def asked(self, given: object) -> Exact:
        """Raises ValueError in words."""
        if given is None:
            return None
        try:
            return self.kind.asked(given)
        except ValueError as problem:
            raise ValueError(f"{self.name}: {problem}") from None

    def held(self, found: object) -> Exact:
        return None if found is None else self.kind.held(found)


def filterable(column: sa.Column[Any], dialect: str) -> Filterable | None:
    """None if values of its type are not compared."""
    kind = _kind(column.type, dialect)
    if kind is None:
        return None
    wide = isinstance(kind, Integer)  # PostgreSQL's driver sends a value as of the column's type
    return Filterable(column.name, sa.type_coerce(column, sa.BigInteger) if wide else column, kind)


def _kind(of: TypeEngine[Any], dialect: str) -> Kind | None:
    match of:
        case sa.Boolean():
            return Boolean()
        case sa.Integer():
            return Integer()
        case sa.Uuid():
            return Uuid(as_uuid=bool(of.as_uuid))
        case sa.Enum():
            return _enum(of)
        case mysql.SET():
            return None
        case sa.String():
            return Text(padded=isinstance(of, sa.CHAR | sa.NCHAR) and dialect != "sqlite")
    return None


def _enum(of: sa.Enum) -> Enum | None:
    labels: Sequence[object] = of.enums if of.enum_class is None else [*of.enum_class]
    try:
        return Enum(labels)
    except ValueError:  # members that are neither texts nor integers
        return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
