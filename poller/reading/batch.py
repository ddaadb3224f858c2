"""Batches of rows: those of some ranges of ids, and what tells the history that they are of.

Both come from one statement, and so from one snapshot. If that cannot be (very many ranges, rows
that are large or that the driver cannot read), the history is read before and after the rows, and
is the same, or there are no rows: HistoryMoved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.ids.ranges import Range
from poller.reading.database import raise_if_away
from poller.reading.description import Description
from poller.reading.dialects.facts import HISTORY_COLUMNS, TableFacts
from poller.reading.narrowing import EVERYTHING, Narrowed
from poller.reading.questions import Questions
from poller.reading.repeated import Answer, Repeated
from poller.reading.retrieval import Retrieval, upto_bytes
from poller.reading.snapshot import History, HistoryMoved
from poller.wire.row import CutOff, Row

STATUS_COLUMNS = 6  # see `facts.status()`
MAX_ROWS = 2**31


class Batch(NamedTuple):
    """Rows, lowest ids first, and what is told beside them."""

    history: History
    counter: int | None
    rows: list[Row]
    given: int | None
    second: int


class Beside(NamedTuple):
    """What is read beside rows; and the statements for both, which are `repeated` by polls."""

    status: sa.Select[Any]
    questions: Questions
    repeated: Repeated | None


class Batches:
    """Those of a described table."""

    def __init__(self, dialect: str, description: Description, facts: TableFacts) -> None:
        self._dialect = dialect
        self._description = description
        self._facts = facts
        self.polls = self._asked_with(facts.status, few_rows=True)
        self.pages = self._asked_with(facts.status, few_rows=False)
        self._ids = Questions(dialect, description.key, (), filters=description.columns.filters)
        self._rows_that_fit = MAX_ROWS  # into a batch's bytes, by the last batches

    def read(
        self,
        connection: Connection,
        beside: Beside,
        ranges: Sequence[Range],
        limit: int,
        narrowed: Narrowed = EVERYTHING,
    ) -> Batch:
        """At most `limit` rows of `ranges`, with `polls` or `pages` beside them."""
        most = min(limit, self._rows_that_fit)
        try:
            status, found = self._fetch(connection, beside, ranges, most, narrowed)
        except HistoryMoved:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            # Not one snapshot, but safe: the status is read first, the ids in one statement with
            # the same limit, and a row that is gone by the time it is read was deleted.
            status = connection.execute(beside.status).one()
            rows = self._one_by_one(connection, ranges, most, narrowed)
        else:
            found = sorted(found, key=itemgetter(0))[:most]
            large = [int(row[0]) for row in found if self._description.columns.is_large(row)]
            if not large:
                rows = list(map(self._description.columns.row, found))
                return self._batch(status, self._fitted(rows, most, limit))
            rows = self._with_large(connection, found, large)
        self._check_same(status, connection.execute(beside.status).one())
        return self._batch(status, self._fitted(rows, most, limit))

    def history(self, connection: Connection) -> History:
        """Which history of the table this is."""
        return self._history(connection.execute(self._facts.identity).one())

    def status(self, connection: Connection) -> Batch:
        """The history and the counters, without rows."""
        return self._batch(connection.execute(self._facts.status).one(), [])

    # -- statements -------------------------------------------------------------------------

    def _asked_with(self, status: sa.Select[Any], *, few_rows: bool) -> Beside:
        key, columns = self._description.key, self._description.columns.at_once
        with_status = partial(self._beside, status)
        filters = self._description.columns.filters
        return Beside(
            status,
            Questions(self._dialect, key, columns, with_status, few_rows=few_rows, filters=filters),
            Repeated() if few_rows else None,
        )

    def _beside(self, status: sa.Select[Any], of_rows: sa.Select[Any]) -> sa.Select[Any]:
        """The outer join yields the status also if there is no row."""
        told, rows = status.subquery(), of_rows.subquery()
        return (
            sa.select(*told.c, *rows.c)
            .select_from(told.outerjoin(rows, sa.true()))
            .order_by(rows.c[self._description.key.name])
        )

    def _fetch(
        self,
        connection: Connection,
        beside: Beside,
        ranges: Sequence[Range],
        most: int,
        narrowed: Narrowed,
    ) -> tuple[Sequence[Any], list[Any]]:
        status: Sequence[Any] = ()
        rows: list[Any] = []
        for statement, bounds in beside.questions.about(ranges, most, narrowed):
            if beside.repeated is None:
                answer: Answer = connection.execute(statement, bounds).all()
            else:
                answer = beside.repeated.answer(connection, statement, bounds)
            if status:
                self._check_same(status, answer[0])
            status = answer[0][:STATUS_COLUMNS]
            found = (row[STATUS_COLUMNS:] for row in answer)
            rows += [row for row in found if row[0] is not None]
            if len(rows) >= most:  # those of the next statements are above these
                break
        return status, rows

    def _check_same(self, before: Sequence[Any], after: Sequence[Any]) -> None:
        if self._history(before) != self._history(after):
            name = self._description.table.name
            raise HistoryMoved(f"{name} became another table while it was read")

    def _history(self, status: Sequence[Any]) -> History:
        return self._facts.history(*status[:HISTORY_COLUMNS])

    def _batch(self, status: Sequence[Any], rows: list[Row]) -> Batch:
        told = status[HISTORY_COLUMNS:STATUS_COLUMNS]
        counter, given, second = (None if one is None else int(one) for one in told)
        return Batch(self._history(status), counter, rows, given, second or 0)

    # -- rows that one statement cannot bring -----------------------------------------------

    def _with_large(
        self, connection: Connection, found: Sequence[Any], large: Sequence[int]
    ) -> list[Row]:
        columns = self._description.columns
        apart = Retrieval(connection, self._description).rows(large)
        return upto_bytes(
            next(apart) if columns.is_large(row) else columns.row(row) for row in found
        )

    def _one_by_one(
        self, connection: Connection, ranges: Sequence[Range], most: int, narrowed: Narrowed
    ) -> list[Row]:
        """If a row makes the driver fail on the whole fetch."""
        apart = Retrieval(connection, self._description)
        apart.check_statement()
        ids: list[int] = []
        for statement, bounds in self._ids.about(ranges, most, narrowed):
            ids += connection.scalars(statement, bounds).all()
            if len(ids) >= most:
                break
        return upto_bytes(apart.rows(sorted(ids)[:most]))

    def _fitted(self, rows: list[Row], most: int, limit: int) -> list[Row]:
        """The same rows. Also sets how many rows the next batch asks for."""
        if isinstance(rows, CutOff):
            self._rows_that_fit = len(rows)
        elif self._rows_that_fit < MAX_ROWS:
            self._rows_that_fit *= 2
            return CutOff(rows) if len(rows) >= most and most < limit else rows
        return rows
