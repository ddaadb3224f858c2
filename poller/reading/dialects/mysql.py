"""MariaDB and MySQL: metadata locks where they are shown, else a look at what is not committed.

A statement that writes locks the table's metadata (SHARED_WRITE or stronger) before it takes an
id, and the transaction keeps that to its end. `performance_schema.metadata_locks` shows it, where
the instrument is on and the user may read it. It does not show a transaction that was prepared (XA)
by a connection that is gone; its rows can be seen under READ UNCOMMITTED, as can any other's,
unless the statement took its id and has not written the row yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.cursor import MAX_ID, Range
from poller.ids.gaps import Witness
from poller.reading.conditions import selects
from poller.reading.dialects import mysql_findings as findings
from poller.reading.dialects.facts import NOT_TOLD, Examined, Finding, status
from poller.reading.fence import (
    Evidence,
    Fence,
    FenceVoid,
    GracePeriod,
    Holder,
    HolderFence,
    HoldersSeen,
)

PENDING_IDS = 1000  # looked at in one pass; beyond the last of them every gap counts as pending

# A ticket (an address) and its thread: no later transaction of the thread has the same while this
# one is open. Locks that only read are left out.
LOCKS = sa.text("""
SELECT enabled = 'YES' AND 'YES' = (
    SELECT enabled FROM performance_schema.setup_consumers WHERE name = 'global_instrumentation'
  ) AND NOT @@read_only AS enabled, owner_thread_id AS thread, object_instance_begin AS ticket
FROM performance_schema.setup_instruments LEFT JOIN performance_schema.metadata_locks
  ON object_type = 'TABLE' AND object_schema = COALESCE(:schema, DATABASE())
  AND object_name = :table AND lock_status = 'GRANTED'
  AND lock_type NOT IN ('INTENTION_EXCLUSIVE', 'SHARED', 'SHARED_HIGH_PRIO', 'SHARED_READ',
    'SHARED_READ_ONLY')
WHERE name = 'wait/lock/metadata/sql/mdl'
""")
# Apart from the locks: these tables have no index to join by.
THREADS = sa.text(
    "SELECT thread_id, processlist_id FROM performance_schema.threads"
    " WHERE processlist_id IS NOT NULL"
)
# For the next transaction only, which is the next statement.
DIRTY = sa.text("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
VARIABLES = sa.text("""
SHOW VARIABLES WHERE variable_name IN
  ('innodb_autoinc_lock_mode', 'read_only', 'wsrep_on', 'performance_schema',
   'auto_increment_increment')
""")
STATUS = sa.text("""
SHOW GLOBAL STATUS WHERE variable_name IN
  ('Slaves_running', 'Performance_schema_metadata_lock_lost')
""")
# Apart: joined, they take ten times as long.
TABLE = sa.text("""
SELECT table_type, engine FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table
""")
COLUMN = sa.text("""
SELECT extra FROM information_schema.columns
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table AND column_name = :key
""")
# InnoDB writes names as those of files: "my-table" is "my@002dtable".
INNODB_ID = """
SELECT table_id FROM information_schema.{}
WHERE name = CONCAT(CAST(CONVERT(COALESCE(:schema, DATABASE()) USING filename) AS BINARY), '/',
  CAST(CONVERT(:table USING filename) AS BINARY))
"""


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

    def __init__(self, key: ColumnElement[Any], grace: GracePeriod) -> None:
        self._key = key
        self._grace = grace

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        return pending(connection, self._key, gaps)

    def idle(self, evidence: Evidence) -> bool:
        return False

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

    def __init__(self, table: sa.Table, key: ColumnElement[Any]) -> None:
        self._names = {"schema": table.schema, "table": table.name}
        self._key = key

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        locks = connection.execute(LOCKS, self._names).all()
        if not locks or not locks[0].enabled:
            raise FenceVoid("the instrument of metadata locks is off, or the server is read only")
        held = [lock for lock in locks if lock.thread is not None]
        connections: dict[int, int] = {}
        if held:
            connections = {thread: number for thread, number in connection.execute(THREADS)}  # noqa: C416
        holders = HoldersSeen(
            Holder(f"{lock.thread}/{lock.ticket}", f"connection {connections.get(lock.thread)}")
            for lock in held
        )
        return holders, pending(connection, self._key, gaps)

    def idle(self, evidence: Evidence) -> bool:
        return False  # a prepared transaction may be left

    def judge(
        self, gap: Range, witness: Witness | None, evidence: Evidence | None
    ) -> Witness | None:
        if not isinstance(evidence, tuple):
            return super().judge(gap, witness, None)
        holders, uncommitted = evidence
        left = super().judge(gap, witness, holders)
        return left or (frozenset() if uncommitted.touches(gap) else None)


def pending(connection: Connection, key: ColumnElement[Any], gaps: Sequence[Range]) -> Pending:
    """The ids in `gaps` whose rows are there, committed or not."""
    ids: list[int] = []
    try:
        for statement in selects(key, [], gaps, PENDING_IDS):
            connection.execute(DIRTY)
            ids += connection.scalars(statement).all()
    except BaseException:
        connection.invalidate()  # a statement that was refused leaves the level to the next one
        raise
    ids = sorted(ids)[:PENDING_IDS]
    return Pending(ids, MAX_ID if len(ids) < PENDING_IDS else ids[-1])


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> Examined:
    names = {"schema": table.schema, "table": table.name}
    kind, engine = connection.execute(TABLE, names).one()
    extra = connection.scalar(COLUMN, {**names, "key": key.name})
    generated = "auto_increment" in (extra or "").lower()
    told = [findings.generator(f"{table.name}.{key.name}", generated=generated)]
    if not _is_mariadb(connection):
        told.append(findings.IS_MYSQL)
    innodb_id = _innodb_id(connection, table)
    if engine == "InnoDB" and not innodb_id:
        told.append(findings.NO_INNODB_ID)
    counted = generated and _is_mariadb(connection)
    fence, seen = _fence(connection, table, key, grace, (kind, engine))
    return Examined(_status(table, innodb_id, counted=counted), fence, [*told, seen])


def _status(table: sa.Table, innodb_id: str, *, counted: bool) -> sa.Select[Any]:
    """`counted`: the table's counter is that of the key, and told in time."""
    names = ("table_schema", "table_name", "create_time", "auto_increment")
    tables = sa.table("tables", *(sa.column(name) for name in names), schema="information_schema")
    here = sa.and_(
        tables.c.table_schema == (table.schema or sa.func.database()),
        tables.c.table_name == table.name,
    )
    place = sa.func.concat_ws(
        "/",
        sa.literal_column("@@hostname"),
        sa.literal_column("@@server_id"),
        sa.func.database(),
        sa.literal(table.name),
    )
    version = sa.func.concat_ws(
        "/",
        sa.select(tables.c.create_time).where(here).scalar_subquery(),
        sa.literal(innodb_id),
    )
    counter = sa.select(tables.c.auto_increment - 1).where(here).scalar_subquery()
    return status(place, version, counter if counted else NOT_TOLD)


def _innodb_id(connection: Connection, table: sa.Table) -> str:
    """InnoDB's own id of the table, another after TRUNCATE, where the user may see it.

    Looked at here and not at every poll: a poll would have to walk InnoDB's list of all tables.
    """
    tables = "innodb_sys_tables" if _is_mariadb(connection) else "innodb_tables"
    try:
        found = connection.scalar(
            sa.text(INNODB_ID.format(tables)), {"schema": table.schema, "table": table.name}
        )
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return ""
    return "" if found is None else str(found)


def _is_mariadb(connection: Connection) -> bool:
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _fence(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[Any],
    grace: GracePeriod,
    made: tuple[str, str | None],
) -> tuple[Fence, Finding]:
    """`made`: the table's kind and engine."""
    told = [*connection.execute(VARIABLES), *connection.execute(STATUS)]
    variables = {str(name): str(value) for name, value in told}
    if unseen := findings.unseen(table, *made, variables):
        fact, remedy = unseen
        return grace, Finding(fact, grace.lacks, remedy)
    if not (refusal := _refusal(connection, table, variables)):
        return MetadataLocks(table, key), findings.LOCKS_SEEN
    return DirtyRead(key, grace), findings.uncommitted(refusal, variables, grace)


def _refusal(connection: Connection, table: sa.Table, variables: dict[str, str]) -> str:
    """Why metadata locks cannot be read; empty where they can."""
    if variables.get("performance_schema") != "ON":
        return "performance_schema is off"
    if variables.get("Performance_schema_metadata_lock_lost", "0") != "0":
        return "performance_schema has lost metadata locks, for want of memory"
    try:
        locks = connection.execute(LOCKS, {"schema": table.schema, "table": table.name}).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return "this user may not read the tables of performance_schema"
    enabled = bool(locks) and locks[0].enabled
    return "" if enabled else "the instrument wait/lock/metadata/sql/mdl or its consumer is off"
