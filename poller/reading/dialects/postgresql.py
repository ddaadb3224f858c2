"""PostgreSQL: `nextval` locks its sequence to the end of the transaction, and everybody may see it.

The lock (RowExclusiveLock on the sequence) is taken by the first `nextval` of a transaction,
explicit or by a default, and kept by the top transaction also when a savepoint is rolled back, and
by a prepared one until it is committed. It proves something of ids that are the next value of one
sequence, taken by the transaction that inserts the row. Where an id may be used later than it was
taken, or nobody knows where it comes from, the locks that an INSERT takes on the table count, too,
and only after the grace period. Where others' transactions are not seen here at all, there is
nothing but the grace period.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import Range
from poller.reading.after_grace import AfterGrace
from poller.reading.dialects import postgresql_findings as findings
from poller.reading.dialects import postgresql_generator, postgresql_versions
from poller.reading.dialects.facts import NOT_TOLD, Finding, TableFacts, status
from poller.reading.dialects.postgresql_generator import Standing
from poller.reading.dialects.postgresql_relation import (
    IdSequence,
    Relation,
    locks_of,
    relation_of,
)
from poller.reading.fence import (
    Evidence,
    Fence,
    FenceVoid,
    GracePeriod,
    Holder,
    HolderFence,
    HoldersSeen,
)
from poller.reading.idle import IdleHolders

# For everybody, unless it was revoked; databases that only speak the protocol may lack it.
MAY_ASK_SYSTEM = sa.text(
    "SELECT has_function_privilege(to_regprocedure('pg_control_system()'), 'EXECUTE')"
)
SYSTEM: ColumnElement[Any] = sa.literal_column(
    "(SELECT system_identifier FROM pg_control_system())"
)
SECOND: ColumnElement[Any] = sa.literal_column("floor(extract(epoch FROM clock_timestamp()))")


class LockHolders(HolderFence):
    """The transactions that hold a lock on the key's sequence, else on the table or a partition.

    See `HolderFence` for why their end is a proof. A transaction's locks go after its commit can be
    seen. `pg_locks` reads the backends' own (fast path) lists before the shared one, and a lock
    only ever moves from there to here: it may be seen twice, never missed.

    Keys last. A virtual transaction is the number of a slot and one that counts up in this slot,
    also from one connection to the next, in 32 bits; a prepared transaction's is its xid. The count
    begins again when the server does, which nobody may notice who reaches it through a pooler: so
    the time of that start is part of the key, as a number, which no setting changes. It begins
    again, too, when a backend crashes and the server starts all backends afresh, but not itself:
    so the backend's pid is part of the key. To meet an old key again, a new backend would have to
    get the same slot, pid and count between two looks.

    Idle holders; the argument is in `idle.py`. A client's backend writes down that it is active,
    and since when, as it gets a statement, a bound one to execute or a function to call, before it
    does anything with it; and that it is idle, and since when, once it is done with it. So
    `state_change` of one that is idle in its transaction is another after each statement, and so is
    `query_start`: only a clock that is set back, twice by what went by meanwhile and to the
    microsecond, would hide one. `nextval` is called by the transaction's own backend alone, not
    by its parallel workers. Where somebody switches `track_activities` off for a backend, its next
    statement leaves it "disabled", which is not idle. Other backends than clients' may write what
    they like, and are waited for. So is one of a role that we may not look at: it takes the same
    role or `pg_read_all_stats`, or else all of this is NULL. The counter is the sequence's value,
    or a greater id that was set by hand; where it cannot be read, nobody is taken for idle. A
    prepared transaction runs no statement any more: it is idle for good, under a key that it did
    not have before.

    What the proof rests on was told when `relation` was looked at. Each look reads it again, and
    whether `pg_locks` shows anything at all.
    """

    keys_last = True

    def __init__(self, relation: Relation, key: str, *, wide: bool = False) -> None:
        wide = wide or relation.versions
        where = "sequence" if relation.sequences and not wide else "table"
        self.name = f"{where} locks"
        self._relation, self._key, self._wide = relation, key, wide
        # What is idle owns no id that was given out meanwhile: if it is used where it was taken.
        self._idle = IdleHolders() if relation.numbered or not wide else None

    def look(self, connection: Connection, gaps: Sequence[Range]) -> Evidence:
        relation = self._relation
        told, own, held = locks_of(
            connection, relation.name, self._key, wide=self._wide, versions=relation.versions
        )
        if told != relation.told:
            raise FenceVoid("the table, what gives its ids, or the server has changed")
        if not own:
            raise FenceVoid("pg_locks does not even show the lock of the look itself")
        return HoldersSeen(map(_holder, held), self._idle)


def _holder(row: Any) -> Holder:
    key = f"{row.server}/{row.virtualtransaction}/{row.pid}"
    if row.pid is None:
        return Holder(key, "a prepared transaction", prepared=True, idle_since="prepared")
    state = "" if row.idle_since is None else ", idle in transaction"
    return Holder(key, f"pid {row.pid}{state}", idle_since=row.idle_since)


def examine(
    connection: Connection,
    table: sa.Table,
    key: ColumnElement[Any],
    grace: GracePeriod,
    *,
    changing: bool = False,
) -> TableFacts:
    """`changing`: the key is a version."""
    relation, generator = _relation(connection, table, key.name, grace, changing=changing)
    system = [] if connection.execute(MAY_ASK_SYSTEM).scalar() else [findings.NO_SYSTEM]
    standing = _standing(connection, relation, key)
    return TableFacts(
        status(
            _address(relation, system=not system),
            _ids(relation),
            sa.func.concat_ws("/", _file(relation), _default(relation)),
            counter=_counter(relation, key),
            given=_given(relation),
            second=SECOND,
        ),
        _fence(relation, key.name, grace),
        [*findings.of(relation, table.name, key.name, grace, standing, generator), *system],
        numbered=bool(relation.sequences),
        limits=findings.NOT_KNOWN,
    )


def _relation(
    connection: Connection, table: sa.Table, key: str, grace: GracePeriod, *, changing: bool
) -> tuple[Relation, Iterator[Finding]]:
    """And how the key gets its values."""
    if changing:
        versions = postgresql_versions.versions_of(connection, table, key)
        return versions, postgresql_versions.findings_of(versions, table, key, grace)
    relation = relation_of(connection, table, key)
    return relation, postgresql_generator.of(relation, f"{table.name}.{key}", key, grace)


def _fence(relation: Relation, key: str, grace: GracePeriod) -> Fence:
    if not relation.visible:
        return grace
    if relation.numbered:
        return LockHolders(relation, key)
    return AfterGrace(grace, LockHolders(relation, key, wide=True))


def _standing(
    connection: Connection, relation: Relation, key: ColumnElement[Any]
) -> Standing | None:
    """Where the sequence stands, if that is told."""
    if not relation.plain or [one.readable for one in relation.sequences] != [True]:
        return None
    newest = sa.select(sa.func.max(key)).scalar_subquery()
    return Standing(
        *connection.execute(sa.select(_last_value(relation.sequences[0]), newest)).one()
    )


def _address(relation: Relation, *, system: bool) -> ColumnElement[Any]:
    # The system's identifier is another in another cluster, which gives out the same numbers; the
    # timeline is another after a failover. A table that is gone has no oid, which is another place
    # and not an error.
    return sa.func.concat_ws(
        "/",
        *([SYSTEM] if system else []),
        sa.literal_column("(SELECT oid FROM pg_database WHERE datname = current_database())"),
        sa.literal_column(
            "CASE WHEN pg_is_in_recovery() THEN 'standby'"
            " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
        ),
        sa.cast(_regclass(relation), OID),
    )


def _ids(relation: Relation) -> ColumnElement[Any]:
    """The files of the sequences: new after RESTART, but not after `setval`."""
    return sa.func.concat_ws(
        "/",
        sa.literal(""),
        *(
            sa.func.pg_relation_filenode(sa.literal_column(f"{one.oid:d}::oid"))
            for one in relation.sequences
        ),
    )


def _file(relation: Relation) -> ColumnElement[Any]:
    """The table's file, or those of the partitions: new after TRUNCATE, but also VACUUM FULL."""
    if relation.kind != "p":
        return sa.func.pg_relation_filenode(_regclass(relation))
    partitions = sa.func.pg_partition_tree(_regclass(relation)).table_valued("relid")
    files = sa.cast(sa.func.pg_relation_filenode(partitions.c.relid), sa.BigInteger)
    return sa.select(sa.func.sum(files)).select_from(partitions).scalar_subquery()


def _default(relation: Relation) -> ColumnElement[Any]:
    """That of the key, by its oid: another one may name another sequence than is read here. (An
    identity has none, and its sequence goes with it.)"""
    of = sa.table("pg_attrdef", *map(sa.column, ("oid", "adrelid", "adnum")))
    here = sa.and_(of.c.adrelid == _regclass(relation), of.c.adnum == relation.key_number)
    return sa.select(of.c.oid).where(here).scalar_subquery()


def _regclass(relation: Relation) -> ColumnElement[Any]:
    return sa.func.to_regclass(sa.literal(relation.name))


def _counter(relation: Relation, key: ColumnElement[Any]) -> ColumnElement[Any]:
    """The greatest id given out, if that can be read."""
    if not relation.sequences or not all(one.readable for one in relation.sequences):
        return NOT_TOLD
    last = sa.func.greatest(*map(_last_value, relation.sequences))
    # A sequence knows nothing of ids that were set by hand, as an import does. Nearly always there
    # is no row above its value, and so no index entry to walk: those of deleted rows (a queue), or
    # of a million that are not committed yet, lie below.
    above = sa.select(key).where(key > last).order_by(key.desc()).limit(1)
    return sa.func.coalesce(above.scalar_subquery(), last)


def _given(relation: Relation) -> ColumnElement[Any]:
    """The newest value of the sequence: no id above it was given out yet."""
    return NOT_TOLD if relation.counting is None else _last_value(relation.counting)


def _last_value(sequence: IdSequence) -> ColumnElement[Any]:
    """The newest value that was given out."""
    return sa.literal_column(
        f"(SELECT last_value - (NOT is_called)::int FROM {sequence.name})",  # noqa: S608 - quoted
        sa.BigInteger,
    )
