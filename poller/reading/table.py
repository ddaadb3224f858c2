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

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID, Range
from poller.reading.batch import Batches
from poller.reading.chosen import Said
from poller.reading.description import (
    Describer,
    Description,
    Key,
    TableError,
    Wanted,
    own_types_expected,
)
from poller.reading.dialects import examine
from poller.reading.dialects.facts import TableFacts
from poller.reading.snapshot import Found, History, Reading
from poller.runtime.settings import GAP_GRACE_S, MAX_VALUE_BYTES

GAPS_LOOKED_FOR_IN = 100_000  # rows below the start
DUPLICATES_LOOKED_FOR_IN = 10_000  # rows, the newest
GAPS_AT_START = 256  # no more: each is in the token of every row that is then encoded


class _Look(NamedTuple):
    """What the database told when the table was looked at last, and what reads it by that."""

    description: Description
    facts: TableFacts
    batches: Batches


class Table:
    """`source` is a table's name (`"posts"`, `"schema.posts"`), a `sqlalchemy.Table` or a mapped
    class. `key` names the id column if it is not the primary key; `columns` lists what goes to
    the streams, default all that the table had when it was first looked at. `grace_s` is how long
    a missing id may still appear if the database gives no proof. `max_value_bytes` bounds what
    is sent of one value. `filters` are the columns by which streams may be filtered.

    If rows may change, `version` names the column in which the database numbers each change. The
    cursor follows that; `key` is then the column, or the columns, that tell one row from another.
    `deleted` names the column that marks a row which is gone.
    """

    def __init__(
        self,
        source: object,
        *,
        key: Key = None,
        columns: Said = None,
        version: str | None = None,
        deleted: str | None = None,
        grace_s: float = GAP_GRACE_S,
        max_value_bytes: int = MAX_VALUE_BYTES,
        filters: Sequence[str] = (),
    ) -> None:
        wanted = Wanted(key, columns, version, deleted, max_value_bytes, filters)
        self._describer = Describer(source, wanted)
        self.source = source
        self.key_name = key
        self.name = self._describer.name
        self._grace_s = grace_s
        self._seen: _Look | None = None

    def describe(self, connection: Connection) -> None:
        """Look at the table in the database. Raises TableError if it cannot be watched."""
        with own_types_expected():
            found = self._describer.describe(connection)
            facts = examine(
                connection, found.table, found.key, self._grace_s, row_key=found.row_key
            )
        batches = Batches(connection.dialect.name, found, facts)
        self._seen = _Look(found, facts, batches)

    @property
    def described(self) -> bool:
        """Whether it was looked at. Before that the queries raise TableError."""
        return self._seen is not None

    @property
    def facts(self) -> TableFacts:
        """What the database told at the last look."""
        return self._last_look().facts

    @property
    def description(self) -> Description:
        """What the last look found."""
        return self._last_look().description

    @property
    def key_column(self) -> str:
        """The name of the id column, as the last look found it."""
        return str(self._last_look().description.key.name)

    @property
    def _key(self) -> ColumnElement[int]:
        return self._last_look().description.key

    def _last_look(self) -> _Look:
        if self._seen is None:
            raise TableError(f"{self.name} has not been looked at yet")
        return self._seen

    # -- queries ----------------------------------------------------------------------------

    def poll(self, connection: Connection, cursor: Cursor, limit: int) -> Reading:
        """At most `limit` rows not in `cursor`, lowest ids first."""
        batches = self._last_look().batches
        ranges = cursor.holes if cursor.gaps else ((cursor.position + 1, MAX_ID),)
        return Reading(*batches.read(connection, batches.polls, ranges, limit))

    def page(self, connection: Connection, ranges: Sequence[Range], limit: int) -> Found:
        """At most `limit` rows whose ids are in `ranges`, lowest first."""
        batches = self._last_look().batches
        read = batches.read(connection, batches.pages, ranges, limit)
        return Found(read.history, read.rows, read.counter)

    def start_below(self, connection: Connection, rows: int) -> int:
        """The position with `rows` rows above it, or 0 if the table has no more than that."""
        # A greater id cannot be named, nor followed. The bound is beyond an INTEGER.
        named = sa.type_coerce(self._key, sa.BigInteger) < MAX_ID
        newest = sa.select(self._key).where(named).order_by(self._key.desc())
        newest = newest.offset(rows).limit(1)
        return max(0, connection.scalar(newest) or 0)

    def lowest(self, connection: Connection) -> int:
        """The least id, 0 if there is no row. No longer a walk than that of `start_below()`."""
        return connection.scalar(sa.select(sa.func.min(self._key))) or 0

    def gaps_below(self, connection: Connection, position: int) -> tuple[list[Range], int]:
        """The ranges of ids up to `position`, which a row has, that no row has; lowest first.

        And the greatest id below which nothing was looked at, 0 if all was: it looks at the
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

    def duplicates(self, connection: Connection) -> str | None:
        """What is wrong with the key if several of the newest rows have the same value in it."""
        newest = sa.select(self._key).order_by(self._key.desc()).limit(DUPLICATES_LOOKED_FOR_IN)
        found = newest.subquery().c[self._key.name]
        twice = sa.select(found).group_by(found).having(sa.func.count() > 1).limit(1)
        if (value := connection.scalar(twice)) is None:
            return None
        return (
            f"{self.name}.{self._key.name} is not unique: several rows have {value}, of which only "
            "one would be streamed; name a unique integer column (key=, --key)"
        )

    def status(self, connection: Connection) -> Reading:
        """A poll without rows."""
        return Reading(*self._last_look().batches.status(connection))

    def history(self, connection: Connection) -> History:
        """Which history of the table this is."""
        return self._last_look().batches.history(connection)
