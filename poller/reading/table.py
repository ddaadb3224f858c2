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

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID, Range
from poller.reading.conditions import LOW, ROWS, above, conditions, selects
from poller.reading.description import Describer, Description, TableError
from poller.reading.dialects import examine
from poller.reading.dialects.facts import TableFacts
from poller.reading.snapshot import History, Reading
from poller.wire.row import Row

STATUS_COLUMNS = 3  # place, version, counter: see dialects/
GAPS_LOOKED_FOR_IN = 100_000  # rows below the start
DOUBLES_LOOKED_FOR_IN = 10_000  # rows, the newest
GAPS_AT_START = 256  # no more: each is in the token of every row that is then encoded


class Table:
    """`source` is a table's name (`"posts"`, `"schema.posts"`), a `sqlalchemy.Table` or a mapped
    class. `key` names the id column where it is not the primary key; `columns` lists what goes to
    the streams, default all that the table had when it was first looked at. `grace_s` is how long
    a missing id may still appear where the database gives no proof.
    """

    def __init__(
        self,
        source: object,
        *,
        key: str | None = None,
        columns: Sequence[str] | None = None,
        grace_s: float = 5.0,
    ) -> None:
        self._describer = Describer(source, key, columns)
        self.source = source
        self.key_name = key
        self.name = self._describer.name
        self._grace_s = grace_s
        self._seen: tuple[Description, TableFacts] | None = None
        self._above: sa.Select[Any] = sa.select()  # a poll without gaps, which nearly every one is

    def describe(self, connection: Connection) -> None:
        """Look at the table in the database. Raises TableError if it cannot be watched."""
        found = self._describer.describe(connection)
        self._seen = found, examine(connection, found.table, found.key, self._grace_s)
        self._above = self._with_status(above(found.key, found.columns))

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
        if cursor.gaps:
            first, *more = selects(self._key, self._description.columns, cursor.holes, limit)
            statement, bounds = self._with_status(first), {}
        else:
            statement, more = self._above, []
            bounds = {LOW: min(cursor.position + 1, MAX_ID), ROWS: limit}
        try:
            told = connection.execute(statement, bounds).all()
            found = [row[STATUS_COLUMNS:] for row in told if row[STATUS_COLUMNS] is not None]
            for another in more:
                found += connection.execute(another).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            return self._poll_around(connection, cursor, limit, error)
        return self._reading(told[0], self._lowest(map(self._description.row, found), limit))

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
        found: list[Any] = []
        try:
            for statement in selects(self._key, self._description.columns, ranges, limit):
                found += connection.execute(statement).all()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            return self._one_by_one(connection, ranges, limit, error)
        return self._lowest(map(self._description.row, found), limit)

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

    @staticmethod
    def _lowest(rows: Iterable[Row], limit: int) -> list[Row]:
        return sorted(rows, key=lambda row: row.id)[:limit]

    # -- rows that cannot be read -----------------------------------------------------------

    def _poll_around(
        self, connection: Connection, cursor: Cursor, limit: int, error: Exception
    ) -> Reading:
        """The same poll where a row makes the driver fail on the whole fetch.

        Not one snapshot, but safe: the status is read first, the ids in one statement that is cut
        off by the same limit, and a row that is gone by the time it is read was deleted.
        """
        self._raise_if_gone(error)
        status = connection.execute(self.facts.status).one()
        return self._reading(status, self._one_by_one(connection, cursor.holes, limit, error))

    def _one_by_one(
        self, connection: Connection, ranges: Sequence[Range], limit: int, error: Exception
    ) -> list[Row]:
        self._raise_if_gone(error)
        # Not a row but the statement itself may be refused, as when a column is gone: this raises.
        connection.execute(self._description.select().limit(0))
        ids: list[int] = []
        for within in conditions(self._key, ranges):
            some = sa.select(self._key).where(within).order_by(self._key).limit(limit)
            ids += connection.scalars(some).all()
        return [self._read_one(connection, row_id) for row_id in sorted(ids)[:limit]]

    def _read_one(self, connection: Connection, row_id: int) -> Row:
        """One row, or its placeholder, also where it was deleted meanwhile: fewer rows than the
        limit would say that no more follow."""
        by_id = self._key == row_id
        try:
            found = connection.execute(self._description.select().where(by_id)).first()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            self._raise_if_gone(error)
            # The key alone can be read, so it is the row's content; otherwise this raises.
            connection.execute(sa.select(self._key).where(by_id)).first()
            return Row(row_id, None, "the database driver could not read this row")
        if found is None:
            return Row(row_id, None, "the row was deleted while it was read")
        return self._description.row(found)

    @staticmethod
    def _raise_if_gone(error: Exception) -> None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise error
