"""A watched table: what is known of it, and the queries that read it.

    poll        rows after a cursor (above its position or in its gaps), with the table's
                history and its counter, in one statement and so in one snapshot
    page        rows in given ranges of ids, a page at a time: catch-up
    start_below the position from which a poller starts, so that the log is warm
    gaps_below  the ids that are missing below it: what a transaction may still fill

Each is one walk along the key's index. It knows SQL and nothing of streams. Every method takes a
connection and is called where blocking is allowed (`Database.read`).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID, Range
from poller.reading.conditions import LOW, ROWS, above, conditions, selects
from poller.reading.description import Describer, Description, TableError, own_types_expected
from poller.reading.dialects import examine
from poller.reading.dialects.facts import TableFacts
from poller.reading.retrieval import Retrieval, raise_if_away, upto_bytes
from poller.reading.snapshot import History, Reading
from poller.reading.values import MAX_VALUE_BYTES
from poller.wire.row import CutOff, Row

STATUS_COLUMNS = 3  # place, version, counter: see dialects/
GAPS_LOOKED_FOR_IN = 100_000  # rows below the start
MAX_ROWS = 2**31
DOUBLES_LOOKED_FOR_IN = 10_000  # rows, the newest
GAPS_AT_START = 256  # no more: each is in the token of every row that is then encoded


class Table:
    """`source` is a table's name (`"posts"`, `"schema.posts"`), a `sqlalchemy.Table` or a mapped
    class. `key` names the id column where it is not the primary key; `columns` lists what goes to
    the streams, default all that the table had when it was first looked at. `grace_s` is how long
    a missing id may still appear where the database gives no proof. `max_value_bytes` bounds what
    is sent of one value.
    """

    def __init__(
        self,
        source: object,
        *,
        key: str | None = None,
        columns: Sequence[str] | None = None,
        grace_s: float = 5.0,
        max_value_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        self._describer = Describer(source, key, columns, max_value_bytes)
        self.source = source
        self.key_name = key
        self.name = self._describer.name
        self._grace_s = grace_s
        self._seen: tuple[Description, TableFacts] | None = None
        self._above: sa.Select[Any] = sa.select()  # a poll without gaps, which nearly every one is
        self._rows_that_fit = MAX_ROWS  # into a batch's bytes, by the last batches

    def describe(self, connection: Connection) -> None:
        """Look at the table in the database. Raises TableError if it cannot be watched."""
        with own_types_expected():
            found = self._describer.describe(connection)
            self._seen = found, examine(connection, found.table, found.key, self._grace_s)
        self._above = self._with_status(above(found.key, found.columns.at_once))

    @property
    def described(self) -> bool:
        """Whether it was looked at. Before that the queries raise TableError."""
        return self._seen is not None

    @property
    def facts(self) -> TableFacts:
        """What the database told at the last look."""
        return self._last_look()[1]

    @property
    def _description(self) -> Description:
        return self._last_look()[0]

    @property
    def _key(self) -> ColumnElement[int]:
        return self._description.key

    def _last_look(self) -> tuple[Description, TableFacts]:
        if self._seen is None:
            raise TableError(f"{self.name} has not been looked at yet")
        return self._seen

    # -- queries ----------------------------------------------------------------------------

    def poll(self, connection: Connection, cursor: Cursor, limit: int) -> Reading:
        """At most `limit` rows not in `cursor`, lowest ids first."""
        most = min(limit, self._rows_that_fit)
        if cursor.gaps:
            first, *more = self._selects(cursor.holes, most)
            statement, bounds = self._with_status(first), {}
        else:
            statement, more = self._above, []
            bounds = {LOW: min(cursor.position + 1, MAX_ID), ROWS: most}
        try:
            told = connection.execute(statement, bounds).all()
            found = [row[STATUS_COLUMNS:] for row in told if row[STATUS_COLUMNS] is not None]
            for another in more:
                found += connection.execute(another).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            # Not one snapshot, but safe: the status is read first, the ids in one statement with
            # the same limit, and a row that is gone by the time it is read was deleted.
            status = connection.execute(self.facts.status).one()
            return self._reading(status, self._one_by_one(connection, cursor.holes, most, limit))
        return self._reading(told[0], self._rows(connection, found, most, limit))

    def _with_status(self, of_rows: sa.Select[Any]) -> sa.Select[Any]:
        """One statement a poll: the outer join yields the status also where there is no row."""
        status, rows = self.facts.status.subquery(), of_rows.subquery()
        return (
            sa.select(*status.c, *rows.c)
            .select_from(status.outerjoin(rows, sa.true()))
            .order_by(rows.c[self._key.name])
        )

    def page(self, connection: Connection, ranges: Sequence[Range], limit: int) -> list[Row]:
        """At most `limit` rows whose ids are in `ranges`, lowest first."""
        most = min(limit, self._rows_that_fit)
        found: list[Any] = []
        try:
            for statement in self._selects(ranges, most):
                found += connection.execute(statement).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            raise_if_away(error)
            return self._one_by_one(connection, ranges, most, limit)
        return self._rows(connection, found, most, limit)

    def _selects(self, ranges: Sequence[Range], limit: int) -> list[sa.Select[Any]]:
        return selects(self._key, self._description.columns.at_once, ranges, limit)

    def start_below(self, connection: Connection, rows: int) -> int:
        """The position with `rows` rows above it, or 0 where the table has no more than that."""
        newest = sa.select(self._key).order_by(self._key.desc()).offset(rows).limit(1)
        return max(0, connection.scalar(newest) or 0)

    def gaps_below(self, connection: Connection, position: int) -> tuple[list[Range], int]:
        """The ranges of ids up to `position`, which a row has, that no row has; lowest first.

        And the greatest id below which nothing was looked at, 0 where all was: it looks at the
        newest rows, and for the newest gaps.
        """
        newest = (
            sa.select(self._key.label("id"))
            .where(self._key <= position)
            .order_by(self._key.desc())
            .limit(GAPS_LOOKED_FOR_IN)
            .subquery()
        )
        before = sa.func.lag(newest.c.id).over(order_by=newest.c.id)
        below = sa.func.coalesce(before, 0).label("below")
        rows = sa.select(newest.c.id, below).subquery()
        found = connection.execute(
            sa.select(rows.c.below + 1, rows.c.id - 1)
            .where(rows.c.id > rows.c.below + 1)
            .order_by(rows.c.id.desc())
            .limit(GAPS_AT_START)
        ).all()
        gaps = sorted((int(low), int(high)) for low, high in found)
        floor = gaps[0][0] - 1 if len(gaps) == GAPS_AT_START else 0
        if gaps and gaps[0][0] == 1:  # the table's bottom, or only that of what was looked at
            below_all = sa.select(self._key).where(self._key.between(*gaps[0])).limit(1)
            if connection.scalar(below_all) is not None:
                floor = gaps.pop(0)[1]
        return gaps, floor

    def doubled(self, connection: Connection) -> str | None:
        """What is wrong with the key if several of the newest rows have the same value in it."""
        newest = sa.select(self._key).order_by(self._key.desc()).limit(DOUBLES_LOOKED_FOR_IN)
        found = newest.subquery().c[self._key.name]
        doubles = sa.select(found).group_by(found).having(sa.func.count() > 1).limit(1)
        if (value := connection.scalar(doubles)) is None:
            return None
        return (
            f"{self.name}.{self._key.name} is not unique: several rows have {value}, of which only "
            "one would be streamed; name a unique integer column (key=, --key)"
        )

    def history(self, connection: Connection) -> History:
        """Which history of the table this is."""
        place, version, _ = connection.execute(self.facts.status).one()
        return self.facts.history(place, version)

    def _reading(self, status: Sequence[Any], rows: list[Row]) -> Reading:
        place, version, counter = status[:STATUS_COLUMNS]
        counter = None if counter is None else int(counter)
        return Reading(self.facts.history(place, version), counter, rows)

    # -- rows -------------------------------------------------------------------------------

    def _rows(
        self, connection: Connection, found: Sequence[Any], most: int, limit: int
    ) -> list[Row]:
        """What a statement for at most `most` rows found, where the caller asked for `limit`."""
        columns = self._description.columns
        found = sorted(found, key=itemgetter(0))[:most]
        large = [int(row[0]) for row in found if columns.is_large(row)]
        if not large:
            return self._fitted(list(map(columns.row, found)), most, limit)
        apart = Retrieval(connection, self._description).rows(large)
        rows = (next(apart) if columns.is_large(row) else columns.row(row) for row in found)
        return self._fitted(upto_bytes(rows), most, limit)

    def _one_by_one(
        self, connection: Connection, ranges: Sequence[Range], most: int, limit: int
    ) -> list[Row]:
        """The same where a row makes the driver fail on the whole fetch."""
        apart = Retrieval(connection, self._description)
        apart.check_statement()
        ids: list[int] = []
        for within in conditions(self._key, ranges):
            some = sa.select(self._key).where(within).order_by(self._key).limit(most)
            ids += connection.scalars(some).all()
        return self._fitted(upto_bytes(apart.rows(sorted(ids)[:most])), most, limit)

    def _fitted(self, rows: list[Row], most: int, limit: int) -> list[Row]:
        """The same rows; the next batch has as many as fit."""
        if isinstance(rows, CutOff):
            self._rows_that_fit = len(rows)
        elif self._rows_that_fit < MAX_ROWS:
            self._rows_that_fit *= 2
            return CutOff(rows) if len(rows) >= most and most < limit else rows
        return rows
