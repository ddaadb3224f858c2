"""PostgreSQL: `nextval` locks its sequence to the end of the transaction, and everybody may see it.

The lock (RowExclusiveLock on the sequence) is taken by the first `nextval` of a transaction,
explicit or by a default, and kept by the top transaction also when a savepoint is rolled back, and
by a prepared one until it is committed. Where no sequence owns the key, the lock that an INSERT
takes on the table stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.cursor import Range
from poller.dialects.examined import NOT_TOLD, Examined, Finding, status
from poller.fence import Evidence, Fence, FenceVoid, GracePeriod, Holder, HolderFence, HoldersSeen

TABLE_KINDS = "rp"  # pg_class.relkind: a table, a partitioned table

# The table and its partitions, and the sequences that their key column takes its default from or
# that belong to it.
SEQUENCES = sa.text("""
WITH RECURSIVE member(oid) AS (
  SELECT CAST(:table AS oid)
  UNION SELECT inhrelid FROM pg_inherits JOIN member ON inhparent = member.oid
), keys AS (
  SELECT attrelid, attnum FROM pg_attribute JOIN member ON attrelid = oid WHERE attname = :key
), owned(oid) AS (
  SELECT refobjid FROM pg_attrdef d JOIN keys ON adrelid = attrelid AND adnum = attnum
    JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid
    WHERE refclassid = 'pg_class'::regclass
  UNION SELECT objid FROM pg_depend JOIN keys ON refobjid = attrelid AND refobjsubid = attnum
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
)
SELECT seqrelid, seqrelid::regclass::text AS name, seqcache, seqcycle, seqincrement,
  has_sequence_privilege(seqrelid, 'SELECT') AS readable
FROM pg_sequence JOIN owned ON seqrelid = owned.oid ORDER BY seqrelid
""")
MEMBERS = sa.text("""
WITH RECURSIVE member(oid) AS (
  SELECT CAST(:table AS oid)
  UNION SELECT inhrelid FROM pg_inherits JOIN member ON inhparent = member.oid
) SELECT oid FROM member
""")
# RowExclusiveLock or stronger. The outer join tells also where nobody holds one.
LOCKS = sa.text("""
SELECT pg_is_in_recovery() OR EXISTS (
    SELECT FROM pg_sequence WHERE seqrelid IN :locked AND seqcache > 1) AS void,
  virtualtransaction, pid
FROM (SELECT) AS always LEFT JOIN pg_locks ON locktype = 'relation' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation IN :locked
  AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
""").bindparams(sa.bindparam("locked", expanding=True))


class LockHolders(HolderFence):
    """The transactions that hold a lock on one of the relations `locked`, by oid.

    See `HolderFence` for why their end is a proof. A transaction's locks go after its commit can be
    seen. `pg_locks` reads the backends' own (fast path) lists before the shared one, and a lock
    only ever moves from there to here: it may be seen twice, never missed.
    """

    def __init__(self, locked: Sequence[int], name: str) -> None:
        self.name = name
        self._locked = list(locked)

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        found = connection.execute(LOCKS, {"locked": self._locked}).all()
        if found[0].void:
            raise FenceVoid("a standby, or a sequence with CACHE > 1")
        return HoldersSeen(_holder(row) for row in found if row.virtualtransaction is not None)


def _holder(row: Any) -> Holder:
    if row.pid is None:
        return Holder(row.virtualtransaction, "a prepared transaction", prepared=True)
    return Holder(row.virtualtransaction, f"pid {row.pid}")


@dataclass(frozen=True, slots=True)
class Relation:
    """What the catalogue tells of the table."""

    oid: int
    kind: str
    members: list[int]
    sequences: Sequence[Any]
    standby: bool


def examine(
    connection: Connection, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> Examined:
    relation = _relation(connection, table, key.name)
    counter, told = _counter(relation, key)
    fence, seen = _fence(relation, grace)
    generator = _generator(relation, table, key, grace)
    return Examined(
        status(_address(relation), _version(relation), counter),
        fence,
        [_place(relation, grace), *generator, *told, *seen],
    )


def _relation(connection: Connection, table: sa.Table, key: str) -> Relation:
    named = connection.dialect.identifier_preparer.format_table(table)
    oid, kind, standby = connection.execute(
        sa.text(
            "SELECT oid::bigint, relkind::text, pg_is_in_recovery() FROM pg_class"
            " WHERE oid = to_regclass(:name)"
        ),
        {"name": named},
    ).one()
    members = list(connection.scalars(MEMBERS, {"table": oid}))
    sequences = connection.execute(SEQUENCES, {"table": oid, "key": key}).all()
    return Relation(oid, kind, members, sequences, standby)


def _place(relation: Relation, grace: GracePeriod) -> Finding:
    if not relation.standby:
        return Finding("this is a primary")
    return Finding(
        "this is a hot standby, which does not know the primary's open transactions",
        grace.lacks,
        "poll the primary",
    )


def _generator(
    relation: Relation, table: sa.Table, key: ColumnElement[Any], grace: GracePeriod
) -> list[Finding]:
    """How ids are given out."""
    if relation.kind not in TABLE_KINDS:
        return [
            Finding(
                f"{table.name} is a view or the like, on which no transaction holds a lock",
                grace.lacks,
                "watch the table behind it",
            )
        ]
    if not relation.sequences:
        return [
            Finding(
                f"no sequence gives {table.name}.{key.name} its value",
                f"rows are missed whose ids were taken before their INSERT on {table.name} began, "
                "and ids that start again are not noticed",
                f"make {key.name} GENERATED BY DEFAULT AS IDENTITY",
            )
        ]
    return [finding for sequence in relation.sequences for finding in _sequence(sequence, grace)]


def _sequence(sequence: Any, grace: GracePeriod) -> list[Finding]:
    name, cache = sequence.name, sequence.seqcache
    findings = [Finding(f"ids come from the sequence {name}")]
    if cache > 1:
        findings.append(
            Finding(
                f"{name} has CACHE {cache}: a connection keeps ids for later, without a lock",
                grace.lacks,
                f"ALTER SEQUENCE {name} CACHE 1, then end the connections that wrote before",
            )
        )
    if sequence.seqcycle:
        findings.append(
            Finding(
                f"{name} has CYCLE",
                "after its last id it starts again, and whatever was streamed is void",
                f"ALTER SEQUENCE {name} NO CYCLE",
            )
        )
    if sequence.seqincrement < 0:
        findings.append(
            Finding(
                f"{name} counts downwards",
                "a new row is below the newest, and not streamed",
                f"ALTER SEQUENCE {name} INCREMENT 1, from above the greatest id on",
            )
        )
    return findings


def _fence(relation: Relation, grace: GracePeriod) -> tuple[Fence, list[Finding]]:
    cached = any(sequence.seqcache > 1 for sequence in relation.sequences)
    if relation.standby or relation.kind not in TABLE_KINDS or cached:
        return grace, []
    where = "sequence" if relation.sequences else "table"
    locked = [one.seqrelid for one in relation.sequences] or relation.members
    seen = Finding(f"open transactions are seen by their locks on the {where}")
    return LockHolders(locked, f"{where} locks"), [seen]


def _address(relation: Relation) -> ColumnElement[Any]:
    # The timeline is another after a failover.
    return sa.func.concat_ws(
        "/",
        sa.literal_column("(SELECT oid FROM pg_database WHERE datname = current_database())"),
        sa.literal_column(
            "CASE WHEN pg_is_in_recovery() THEN 'standby'"
            " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
        ),
        sa.literal_column(f"{relation.oid:d}"),
    )


def _version(relation: Relation) -> ColumnElement[Any]:
    """The file; of a partitioned table, which has none, those of its partitions.

    By oid, since the name may be gone: that a dropped table has no file is another version and not
    an error of this query.
    """
    if relation.kind != "p":
        return sa.func.pg_relation_filenode(sa.literal_column(f"{relation.oid:d}::oid"))
    return sa.literal_column(
        "(SELECT sum(pg_relation_filenode(relid)::bigint)"  # noqa: S608 - a number
        f" FROM pg_partition_tree({relation.oid:d}::oid::regclass))"
    )


def _counter(
    relation: Relation, key: ColumnElement[Any]
) -> tuple[ColumnElement[Any], list[Finding]]:
    """The greatest id given out, where that can be read."""
    if not relation.sequences:
        return NOT_TOLD, []
    unreadable = [one.name for one in relation.sequences if not one.readable]
    if unreadable:
        return NOT_TOLD, [
            Finding(
                f"the sequence {unreadable[0]} cannot be read",
                "ids that start again are not noticed",
                f"GRANT SELECT ON SEQUENCE {unreadable[0]} to this user",
            )
        ]
    # A sequence knows nothing of ids that were set by hand, as an import does.
    last = [
        sa.literal_column(
            f"(SELECT last_value - (NOT is_called)::int FROM {one.name})",  # noqa: S608 - quoted
            sa.BigInteger,
        )
        for one in relation.sequences
    ]
    return sa.func.greatest(*last, sa.select(sa.func.max(key)).scalar_subquery()), []
