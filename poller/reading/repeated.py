"""A question that a poll asks again and again, with the same bounds: as text that the driver sends.

As long as nothing is new, each poll asks the same. To have SQLAlchemy find the compiled statement,
bind 20 values and wrap the answer takes as long as all else that a poll does. So when the same
question comes for the second time, what SQLAlchemy gives the driver is noted, with the values
filled in by the driver; from the third time on that text is sent. A question with other bounds, as
each one is while rows come, goes through SQLAlchemy as ever.

It is the same statement, and what it brings is read by the same types. If anything goes wrong with
it, SQLAlchemy executes it once more and tells what it is, as whether the connection is lost. The
session is that of the connection (`session.py`), also behind a pooler, whose cursor brings it along
with any text (`pooled.py`). Polls of one table come one after another; of two at once, which nobody
makes, each would still get the answer to its own question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, event

from poller.reading.conditions import Bounds

Answer = Sequence[Sequence[Any]]
Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Noted:
    """The text, and what makes a column's values of the driver's, where anything does."""

    text: str
    processes: list[tuple[int, Process]]


class Repeated:
    """The last question that was asked."""

    def __init__(self) -> None:
        self._statement: sa.Select[Any] | None = None
        self._bounds: Bounds = {}
        self._noted: _Noted | None = None

    def answer(self, connection: Connection, statement: sa.Select[Any], bounds: Bounds) -> Answer:
        """The rows that the statement brings. Raises what SQLAlchemy does."""
        if not self._is_last(statement, bounds):
            self._statement, self._bounds, self._noted = statement, bounds, None
            return connection.execute(statement, bounds).all()
        if self._noted is None:
            return self._note(connection, statement, bounds)
        try:
            return _sent(connection, self._noted)  # no wait since the question was compared
        except Exception:  # noqa: BLE001 - drivers raise anything
            self._noted = None
            return connection.execute(statement, bounds).all()

    def _note(self, connection: Connection, statement: sa.Select[Any], bounds: Bounds) -> Answer:
        found: list[_Noted] = []

        def note(_: object, cursor: Any, text: str, values: Any, *_more: object) -> None:
            if filled_in := _filled_in(connection, text, values):
                found.append(_Noted(filled_in, _processes(connection, statement, cursor)))

        event.listen(connection, "after_cursor_execute", note)
        try:
            answer = connection.execute(statement, bounds).all()
        finally:
            event.remove(connection, "after_cursor_execute", note)
        if found and self._is_last(statement, bounds):
            self._noted = found[0]
        return answer

    def _is_last(self, statement: sa.Select[Any], bounds: Bounds) -> bool:
        return statement is self._statement and bounds == self._bounds


def _sent(connection: Connection, noted: _Noted) -> Answer:
    driver: Any = connection.connection.dbapi_connection
    cursor = driver.cursor()
    try:
        cursor.execute(noted.text)
        rows: Answer = cursor.fetchall()
    finally:
        cursor.close()
    if not noted.processes:
        return rows
    return [_processed(row, noted.processes) for row in rows]


def _processed(row: Sequence[Any], processes: list[tuple[int, Process]]) -> Sequence[Any]:
    values = [*row]
    for at, process in processes:
        values[at] = process(values[at])
    return values


def _processes(
    connection: Connection, statement: sa.Select[Any], cursor: Any
) -> list[tuple[int, Process]]:
    """Those of SQLAlchemy's types, as its own results apply them."""
    dialect = connection.dialect
    columns = zip(statement.selected_columns, cursor.description, strict=True)
    found = [
        column.type.dialect_impl(dialect).result_processor(dialect, told[1])
        for column, told in columns
    ]
    return [(at, process) for at, process in enumerate(found) if process is not None]


def _filled_in(connection: Connection, text: str, values: Any) -> str:
    """The statement with its values in it, by the driver's own rules; empty for other drivers."""
    driver: Any = connection.connection.dbapi_connection
    match connection.dialect.driver:
        case "psycopg":
            from psycopg import ClientCursor

            return ClientCursor(driver).mogrify(text, values)
        case "pymysql":
            with driver.cursor() as cursor:
                filled_in: str = cursor.mogrify(text, values)
            return filled_in
        case _:
            return ""
