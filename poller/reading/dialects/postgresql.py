"""PostgreSQL: `nextval` locks its sequence to the end of the transaction, and everybody may see it.

The lock (RowExclusiveLock on the sequence) is taken by the first `nextval` of a transaction,
explicit or by a default, and kept by the top transaction also when a savepoint is rolled back, and
by a prepared one until it is committed. If no sequence owns the key, the lock that an INSERT
takes on the table is used instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import Range
from poller.reading.dialects import postgresql_findings as findings
from poller.reading.dialects.facts import NOT_TOLD, TableFacts, status
from poller.reading.dialects.postgresql_relation import CATALOGUE, Relation, relation_of
from poller.reading.fence import (
    Evidence,
    Fence,
    FenceVoid,
    GracePeriod,
    Holder,
    HolderFence,
    HoldersSeen,
)

# RowExclusiveLock or stronger. The outer join also tells if nobody holds one.
LOCKS = sa.text(
    CATALOGUE  # noqa: S608 - a constant
    + """
SELECT pg_is_in_recovery() OR (SELECT count(*) > 1 OR max(seqcache) > 1 FROM sequence) AS void,
  virtualtransaction, pid
FROM (SELECT) AS always LEFT JOIN pg_locks ON locktype = 'relation' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation IN (SELECT oid FROM locked)
  AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
)


class LockHolders(HolderFence):
    """The transactions that hold a lock on the key's sequence, else on the table or a partition.

    See `HolderFence` for why their end is a proof. A transaction's locks go after its commit can be
    seen. `pg_locks` reads the backends' own (fast path) lists before the shared one, and a lock
    only ever moves from there to here: it may be seen twice, never missed.
    """

    def __init__(self, name: str, table: str, key: str) -> None:
        self.name = name
        self._names = {"name": table, "key": key}

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        found = connection.execute(LOCKS, self._names).all()
        if found[0].void:
            raise FenceVoid("a standby, several sequences, or one with CACHE > 1")
        return HoldersSeen(_holder(row) for row in found if row.virtualtransaction is not None)


def _holder(row: Any) -> Holder:
    if row.pid is None:
        return Holder(row.virtualtransaction, "a prepared transaction", prepared=True)
    return Holder(row.virtualtransaction, f"pid {row.pid}")


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> TableFacts:
    return facts_of(relation_of(connection, table, key.name), table, key, grace)


def facts_of(
    relation: Relation, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> TableFacts:
    """What follows from what the catalogue tells."""
    counter = _counter(relation, key)
    fence: Fence = grace
    if relation.provable:
        where = "sequence" if relation.sequences else "table"
        fence = LockHolders(f"{where} locks", relation.name, key.name)
    return TableFacts(
        status(_address(relation), _version(relation), counter),
        fence,
        findings.of(relation, f"{table.name}.{key.name}", grace),
    )


def _address(relation: Relation) -> ColumnElement[Any]:
    # The timeline is another after a failover. A table that is gone has no oid, which is another
    # place and not an error.
    return sa.func.concat_ws(
        "/",
        sa.literal_column("(SELECT oid FROM pg_database WHERE datname = current_database())"),
        sa.literal_column(
            "CASE WHEN pg_is_in_recovery() THEN 'standby'"
            " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
        ),
        sa.cast(_regclass(relation), OID),
    )


def _version(relation: Relation) -> ColumnElement[Any]:
    """The file, or those of the partitions; and the sequences', which are new after a restart."""
    file: ColumnElement[Any] = sa.func.pg_relation_filenode(_regclass(relation))
    if relation.kind == "p":
        partitions = sa.func.pg_partition_tree(_regclass(relation)).table_valued("relid")
        files = sa.cast(sa.func.pg_relation_filenode(partitions.c.relid), sa.BigInteger)
        file = sa.select(sa.func.sum(files)).select_from(partitions).scalar_subquery()
    sequences = [
        sa.func.pg_relation_filenode(sa.literal_column(f"{one.seqrelid:d}::oid"))
        for one in relation.sequences
    ]
    return sa.func.concat_ws("/", file, *sequences)


def _regclass(relation: Relation) -> ColumnElement[Any]:
    return sa.func.to_regclass(sa.literal(relation.name))


def _counter(relation: Relation, key: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greatest id given out, if that can be read."""
    if not relation.sequences or not all(one.readable for one in relation.sequences):
        return NOT_TOLD
    # A sequence knows nothing of ids that were set by hand, as an import does.
    last = [
        sa.literal_column(
            f"(SELECT last_value - (NOT is_called)::int FROM {one.name})",  # noqa: S608 - quoted
            sa.BigInteger,
        )
        for one in relation.sequences
    ]
    return sa.func.greatest(*last, sa.select(sa.func.max(key)).scalar_subquery())
