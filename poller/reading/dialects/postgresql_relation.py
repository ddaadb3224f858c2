"""What PostgreSQL's catalogue tells of a table: its kind, and the sequences of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.dialects.facts import quoted_name

TABLE_KINDS = "rp"  # pg_class.relkind: a table, a partitioned table
# The table and its partitions, and the sequences that their key column takes its default from or
# that belong to it. By name, each time: a table may be renamed, and take its ids from elsewhere.
CATALOGUE = """
WITH RECURSIVE member(oid) AS (
  SELECT to_regclass(:name)::oid
  UNION SELECT inhrelid FROM pg_inherits JOIN member ON inhparent = member.oid
), keys AS (
  SELECT attrelid, attnum FROM pg_attribute JOIN member ON attrelid = oid WHERE attname = :key
), owned(oid) AS (
  SELECT refobjid FROM pg_attrdef d JOIN keys ON adrelid = attrelid AND adnum = attnum
    JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid
    WHERE refclassid = 'pg_class'::regclass
  UNION SELECT objid FROM pg_depend JOIN keys ON refobjid = attrelid AND refobjsubid = attnum
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
), sequence AS (
  SELECT pg_sequence.* FROM pg_sequence JOIN owned ON seqrelid = owned.oid
), locked(oid) AS (
  SELECT seqrelid FROM sequence
  UNION ALL SELECT oid FROM member WHERE NOT EXISTS (SELECT FROM sequence)
)
"""
SEQUENCES = sa.text(
    CATALOGUE
    + """
SELECT seqrelid, seqrelid::regclass::text AS name, seqcache, seqcycle, seqincrement,
  has_sequence_privilege(seqrelid, 'SELECT') AS readable
FROM sequence ORDER BY seqrelid
"""
)


@dataclass(frozen=True, slots=True)
class Relation:
    """What the catalogue tells of the table `name`, which is quoted if it has to be."""

    name: str
    kind: str
    sequences: Sequence[Any]
    standby: bool

    @property
    def provable(self) -> bool:
        """Whether the open transactions that own an id can be seen by their locks."""
        whole = self.kind in TABLE_KINDS and not self.standby
        return whole and len(self.sequences) <= 1 and all(s.seqcache == 1 for s in self.sequences)


def relation_of(connection: Connection, table: sa.Table, key: str) -> Relation:
    named = quoted_name(connection, table)
    kind, standby = connection.execute(
        sa.text(
            "SELECT relkind::text, pg_is_in_recovery() FROM pg_class WHERE oid = to_regclass(:name)"
        ),
        {"name": named},
    ).one()
    sequences = connection.execute(SEQUENCES, {"name": named, "key": key}).all()
    return Relation(named, kind, sequences, standby)
