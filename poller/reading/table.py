"""A watched table: what is known of it, and the queries that read it.

    poll        rows after a cursor (above its position or in its gaps), with the table's
                history and its counter, in one statement and so in one snapshot
    page        rows in given ranges of ids, a page at a time, with the table's history: catch-up
    start_below the position from which a poller starts, so that the log is warm
    gaps_below  the ids that are missing below it: what a transaction may still fill

Each is one walk along the key's index. It knows SQL and nothing of streams. Every method takes a
connection and is called where blocking is allowed (`Database.read`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID, Range
from poller.reading.conditions import bounds, conditions, in_range, selects
from poller.reading.description import Describer, Description, TableError
from poller.reading.dialects import examine
from poller.reading.dialects.facts import TableFacts
from poller.reading.snapshot import Found, History, HistoryMoved, Reading
from poller.wire.row import Row

COUNTER = 2
STATUS_COLUMNS = 3  # place, version, counter: see dialects/
GAPS_LOOKED_FOR_IN = 100_000  # rows below the start
GAPS_AT_START = 256  # no more: each is in the token of every row that is then encoded


class _Beside(NamedTuple):
    """What is read beside rows; and the statement for one range of ids, as most of them are."""

    status: sa.Select[Any]
    in_range: sa.Select[Any]


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
        self.name = self._describer.name
        self._grace_s = grace_s
        self._seen: tuple[Description, TableFacts] | None = None
        self._polls = self._pages = _Beside(sa.select(), sa.select())

    def describe(self, connection: Connection) -> None:
        """Look at the table in the database. Raises TableError if it cannot be watched."""
        found = self._describer.describe(connection)
        self._seen = found, examine(connection, found.table, found.key, self._grace_s)
        of_rows = in_range(found.key, found.columns)
        self._polls, self._pages = (
            _Beside(status, self._beside(status, of_rows))
            for status in (self.facts.status, self.facts.identity)
        )

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
        ranges = cursor.holes if cursor.gaps else ((cursor.position + 1, MAX_ID),)
        try:
            status, found = self._rows(connection, self._polls, ranges, limit)
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            status, rows = self._one_by_one(connection, cursor.holes, limit, error)
        else:
            rows = self._lowest(map(self._description.row, found), limit)
        counter = None if status[COUNTER] is None else int(status[COUNTER])
        return Reading(self._history_of(status), counter, rows)

    def page(self, connection: Connection, ranges: Sequence[Range], limit: int) -> Found:
        """At most `limit` rows whose ids are in `ranges`, lowest first."""
        try:
            status, found = self._rows(connection, self._pages, ranges, limit)
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            return self._found(*self._one_by_one(connection, ranges, limit, error))
        return self._found(status, self._lowest(map(self._description.row, found), limit))

    def _beside(self, status: sa.Select[Any], of_rows: sa.Select[Any]) -> sa.Select[Any]:
        """Rows and what tells the history that they are of, in one snapshot: the outer join yields
        the status also where there is no row."""
        told, rows = status.subquery(), of_rows.subquery()
        return (
            sa.select(*told.c, *rows.c)
            .select_from(told.outerjoin(rows, sa.true()))
            .order_by(rows.c[self._key.name])
        )

    def _rows(
        self,
        connection: Connection,
        asked: _Beside,
        ranges: Sequence[Range],
        limit: int,
    ) -> tuple[Sequence[Any], list[Any]]:
        """The status, and rows of all ranges. Raises HistoryMoved between two statements."""
        if len(ranges) == 1:
            first, *others = [connection.execute(asked.in_range, bounds(*ranges[0], limit)).all()]
        else:
            selected = selects(self._key, self._description.columns, ranges, limit)
            statements = [self._beside(asked.status, one) for one in selected]
            first, *others = [connection.execute(one).all() for one in statements]
        status = first[0][:STATUS_COLUMNS]
        for another in others:
            self._check_same(status, another[0])
        rows = [row[STATUS_COLUMNS:] for told in (first, *others) for row in told]
        return status, [row for row in rows if row[0] is not None]

    def _check_same(self, before: Sequence[Any], after: Sequence[Any]) -> None:
        if self._history_of(before) != self._history_of(after):
            raise HistoryMoved(f"{self.name} became another table while it was read")

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

    def history(self, connection: Connection) -> History:
        """Which history of the table this is."""
        return self._history_of(connection.execute(self.facts.status).one())

    def _history_of(self, status: Sequence[Any]) -> History:
        return self.facts.history(*status[:COUNTER])

    def _found(self, status: Sequence[Any], rows: list[Row]) -> Found:
        return Found(self._history_of(status), rows)

    @staticmethod
    def _lowest(rows: Iterable[Row], limit: int) -> list[Row]:
        return sorted(rows, key=lambda row: row.id)[:limit]

    # -- rows that cannot be read -----------------------------------------------------------

    def _one_by_one(
        self, connection: Connection, ranges: Sequence[Range], limit: int, error: Exception
    ) -> tuple[Sequence[Any], list[Row]]:
        """As `_rows()`, where a row makes the driver fail on the whole fetch.

        Not one snapshot, but safe: the status is read first and once more at the end, the ids in
        one statement that is cut off by the same limit, and a row that is gone by the time it is
        read was deleted.
        """
        self._raise_if_no_row_s(error)
        status = connection.execute(self.facts.status).one()
        # Not a row but the statement itself may be refused, as when a column is gone: this raises.
        connection.execute(self._description.select().limit(0))
        ids: list[int] = []
        for within in conditions(self._key, ranges):
            some = sa.select(self._key).where(within).order_by(self._key).limit(limit)
            ids += connection.scalars(some).all()
        rows = [self._read_one(connection, row_id) for row_id in sorted(ids)[:limit]]
        self._check_same(status, connection.execute(self.facts.status).one())
        return status, rows

    def _read_one(self, connection: Connection, row_id: int) -> Row:
        """One row, or its placeholder, also where it was deleted meanwhile: fewer rows than the
        limit would say that no more follow."""
        by_id = self._key == row_id
        try:
            found = connection.execute(self._description.select().where(by_id)).first()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            self._raise_if_no_row_s(error)
            # The key alone can be read, so it is the row's content; otherwise this raises.
            connection.execute(sa.select(self._key).where(by_id)).first()
            return Row(row_id, None, "the database driver could not read this row")
        if found is None:
            return Row(row_id, None, "the row was deleted while it was read")
        return self._description.row(found)

    @staticmethod
    def _raise_if_no_row_s(error: Exception) -> None:
        """Where it is not a row's fault."""
        gone = isinstance(error, DBAPIError) and error.connection_invalidated
        if gone or isinstance(error, HistoryMoved):
            raise error
