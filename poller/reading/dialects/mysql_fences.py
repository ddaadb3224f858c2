"""The fences of MariaDB and MySQL: metadata locks if they are shown, else uncommitted rows.

A statement that writes locks the table's metadata (SHARED_WRITE or stronger) before it takes an
id, and the transaction keeps that to its end. `performance_schema.metadata_locks` shows it, if the
instrument is on and the user may read it. It does not show a transaction that was prepared (XA) by
a connection that is gone; its rows can be seen under READ UNCOMMITTED, as can any other's,
unless the statement took its id and has not written the row yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.gaps import Witness
from poller.ids.ranges import MAX_ID, Range
from poller.reading.dialects.mysql_ground import Ground, ground_of
from poller.reading.fence import Evidence, FenceVoid, GracePeriod, Holder, HolderFence, HoldersSeen
from poller.reading.questions import Questions

PENDING_IDS = 1000  # looked at in one pass; beyond the last of them every gap counts as pending

# A ticket (an address) and its thread: no later transaction of the thread has the same while this
# one is open. Locks that only read are left out, but for those on this very table of locks, which
# whoever asks has himself: where none is shown, nobody's is.
LOCKS = sa.text("""
SELECT enabled = 'YES' AND 'YES' = (
    SELECT enabled FROM performance_schema.setup_consumers WHERE name = 'global_instrumentation'
  ) AS enabled, object_schema = 'performance_schema' AS own,
  owner_thread_id AS thread, object_instance_begin AS ticket
FROM performance_schema.setup_instruments LEFT JOIN performance_schema.metadata_locks
  ON object_type = 'TABLE' AND lock_status = 'GRANTED'
  AND (object_schema = 'performance_schema' AND object_name = 'metadata_locks'
    OR object_schema = COALESCE(:schema, DATABASE()) AND object_name = :table
    AND lock_type NOT IN ('INTENTION_EXCLUSIVE', 'SHARED', 'SHARED_HIGH_PRIO', 'SHARED_READ',
      'SHARED_READ_ONLY'))
WHERE name = 'wait/lock/metadata/sql/mdl'
""")
# Apart from the locks: these tables have no index to join by.
THREADS = sa.text(
    "SELECT thread_id, processlist_id FROM performance_schema.threads"
    " WHERE processlist_id IS NOT NULL"
)
# For the next transaction only, which is the next statement.
DIRTY = sa.text("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")


class Locks(NamedTuple):
    """`held` are those on the table. `shown`: whether any that are held would be."""

    shown: bool
    held: Sequence[Any]


def locks_of(connection: Connection, table: sa.Table) -> Locks:
    found = connection.execute(LOCKS, {"schema": table.schema, "table": table.name}).all()
    shown = any(lock.enabled and lock.own for lock in found)
    return Locks(shown, [lock for lock in found if lock.own == 0])


class Pending:
    """The gaps' ids that were there under READ UNCOMMITTED, lowest first, `covered` the last."""

    def __init__(self, ids: Sequence[int], covered: int = MAX_ID) -> None:
        self._ids = ids
        self._covered = covered

    def touches(self, gap: Range) -> bool:
        """Whether the gap holds such an id, or one that was not looked at."""
        low, high = gap
        at = bisect_left(self._ids, low)
        return high > self._covered or (at < len(self._ids) and self._ids[at] <= high)


class DirtyRead:
    """A row that is there under READ UNCOMMITTED is pending; an id that was absent for the grace
    period is dead.

    Safety: an id is taken by the statement that writes its row, and the row is there from then to
    the end of the transaction. A statement that takes longer than the grace period from the one to
    the other (it waits for a lock, or writes very many rows) escapes. With
    innodb_autoinc_lock_mode 2 a long INSERT … SELECT takes ids well ahead of its rows.
    """

    name = "uncommitted rows"

    def __init__(
        self, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod, ground: Ground
    ) -> None:
        self._table, self._key = table, key
        self._ids = _of_gaps(key)
        self._grace = grace
        self._ground = ground

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        _check(connection, self._table, self._key, self._ground)
        return pending(connection, self._ids, gaps)

    def idle(self, evidence: Evidence) -> bool:
        return False

    def must_read(self, witness: Witness, evidence: Evidence | None) -> bool:
        return True

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        """The grace period runs from the pass that last saw the id."""
        absent = isinstance(evidence, Pending) and not evidence.touches(gap)
        return self._grace.judge(gap, witness if absent else None, evidence)

    def holders(self, witness: Witness) -> Iterable[str]:
        return ()


class MetadataLocks(HolderFence):
    """The transactions that hold a lock on the table's metadata; see `HolderFence` for the proof.

    A gap that holds an uncommitted row is not dead either, whoever its owner: a prepared
    transaction shows no lock once its connection is gone. It is looked for after the locks, so that
    one which is prepared and left between the two looks is seen.
    """

    name = "metadata locks"

    def __init__(self, table: sa.Table, key: ColumnElement[Any], ground: Ground) -> None:
        self._table, self._key = table, key
        self._ground = ground
        self._ids = _of_gaps(key)

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        shown, held = locks_of(connection, self._table)
        if not shown:
            raise FenceVoid("metadata locks are not shown any more")
        # After the locks: one that was lost for want of memory is counted by then.
        _check(connection, self._table, self._key, self._ground)
        connections: dict[int, int] = {}
        if held:
            connections = {thread: number for thread, number in connection.execute(THREADS)}  # noqa: C416
        holders = HoldersSeen(
            Holder(f"{lock.thread}/{lock.ticket}", f"connection {connections.get(lock.thread)}")
            for lock in held
        )
        return holders, pending(connection, self._ids, gaps)

    def idle(self, evidence: Evidence) -> bool:
        return False  # a prepared transaction may be left

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        if not isinstance(evidence, tuple):
            return super().judge(gap, witness, None)
        holders, uncommitted = evidence
        left = super().judge(gap, witness, holders)
        # An empty witness: no holder is known, and the uncommitted row keeps the gap open.
        return left or (frozenset() if uncommitted.touches(gap) else None)


def _check(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], ground: Ground
) -> None:
    """Raises FenceVoid unless the ground is still what it was."""
    if ground_of(connection, table, key.name, of_version=ground.of_version) != ground:
        raise FenceVoid("the server's settings, its role or the table have changed")


def pending(connection: Connection, asked: Questions, gaps: Sequence[Range]) -> Pending:
    """The ids in `gaps` whose rows are there, committed or not."""
    ids: list[int] = []
    try:
        for statement, bounds in asked.about(gaps, PENDING_IDS):
            connection.execute(DIRTY)
            ids += connection.scalars(statement, bounds).all()
            if len(ids) >= PENDING_IDS:  # those of the next statements are above these
                break
    except BaseException:
        connection.invalidate()  # a statement that was refused leaves the level to the next one
        raise
    ids = sorted(ids)[:PENDING_IDS]
    return Pending(ids, MAX_ID if len(ids) < PENDING_IDS else ids[-1])


def _of_gaps(key: ColumnElement[Any]) -> Questions:
    return Questions("mysql", key, (), few_rows=True)
