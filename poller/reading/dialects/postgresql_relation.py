"""What PostgreSQL's catalogue tells of a table: all that a proof by locks rests on.

One statement tells it together with the locks, so that a fence reads its own ground again at each
look: `told` is the same text, or the fence is void.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading.dialects.facts import quoted_name

TABLE_KINDS = "rp"  # pg_class.relkind: a table, a partitioned table
IDENTITY = "identity"  # in place of a default's expression
PLAIN_NEXTVAL = re.compile(r"\(*nextval\('(?:[^']|'')*'::regclass\)\)*(?:::\w+)?")
# They bring rows from other servers, or keep them there: who writes cannot be seen here.
EXTENSIONS = ("citus", "bdr", "spock", "pglogical")
# The table and its partitions, and the sequences that their key column takes its default from or
# that belong to it. By name, each time: a table may be renamed, and take its ids from elsewhere.
CATALOGUE = """
WITH RECURSIVE member(oid) AS (
  SELECT to_regclass(:name)::oid
  UNION SELECT inhrelid FROM pg_inherits JOIN member ON inhparent = member.oid
), keys AS (
  SELECT attrelid, attnum, attrelid = to_regclass(:name) AS own,
    CASE WHEN attidentity <> '' THEN 'identity' ELSE pg_get_expr(adbin, adrelid) END AS given
  FROM pg_attribute JOIN member ON attrelid = oid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attname = :key
), {triggers} owned(oid) AS (
  SELECT refobjid FROM pg_attrdef d JOIN keys ON adrelid = attrelid AND adnum = attnum
    JOIN pg_depend ON classid = 'pg_attrdef'::regclass AND objid = d.oid
    WHERE refclassid = 'pg_class'::regclass
  UNION SELECT objid FROM pg_depend JOIN keys ON refobjid = attrelid AND refobjsubid = attnum
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
  {named}
), sequence AS (
  SELECT pg_sequence.* FROM pg_sequence JOIN owned ON seqrelid = owned.oid
), locked(oid) AS (
  SELECT seqrelid FROM sequence
  UNION ALL SELECT oid FROM member WHERE :wide OR NOT EXISTS (SELECT FROM sequence)
)
"""
# What gives a version its value besides: the triggers whose function names the column, and the
# sequences that this names.
TRIGGERS = r"""
trigger AS (
  SELECT tgname, tgtype, md5(prosrc || coalesce(tgqual::text, '')) AS body,
    ARRAY(SELECT attname FROM unnest(tgattr) AS number JOIN pg_attribute
      ON attrelid = tgrelid AND attnum = number) AS columns,
    ARRAY(SELECT to_regclass(said[1])::oid::bigint
      FROM regexp_matches(prosrc, 'nextval\s*\(\s*''([^'']+)''', 'gi') AS said) AS drawn
  FROM pg_trigger JOIN pg_proc ON tgfoid = pg_proc.oid
  WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal AND tgenabled IN ('O', 'A')
    AND strpos(lower(prosrc), lower(:key)) > 0
),
"""
NAMED = "UNION SELECT unnest(drawn)::oid FROM trigger"
OF_TRIGGERS = """,
  'triggers', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', tgname, 'kind', tgtype,
      'columns', columns, 'drawn', drawn, 'body', body) ORDER BY tgname), '[]') FROM trigger)
"""
TOLD = f"""
SELECT jsonb_build_object(
  'kind', (SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)),
  'standby', pg_is_in_recovery(),
  'foreign_part', EXISTS (
    SELECT FROM member JOIN pg_class USING (oid) WHERE relkind NOT IN ('r', 'p')),
  'subscribed', EXISTS (SELECT FROM pg_subscription_rel JOIN member ON srrelid = oid),
  'hidden', row_security_active(to_regclass(:name)),
  'extensions', (SELECT coalesce(jsonb_agg(extname ORDER BY extname), '[]') FROM pg_extension
    WHERE extname IN {EXTENSIONS}),
  'key_number', (SELECT attnum FROM keys WHERE own),
  'default', (SELECT given FROM keys WHERE own),
  'defaults', (SELECT jsonb_agg(DISTINCT given) FROM keys WHERE given IS NOT NULL),
  'sequences', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'oid', seqrelid::bigint, 'name', seqrelid::regclass,
      'increment', seqincrement, 'cache', seqcache, 'cycle', seqcycle,
      'readable', has_sequence_privilege(seqrelid, 'SELECT')
    ) ORDER BY seqrelid), '[]') FROM sequence)
  {{of_triggers}}
)::text AS told
"""  # noqa: S608 - constants
# Whoever reads pg_locks holds a lock on that itself: where it is not shown, nobody's is. The locks
# on the ids' source are RowExclusiveLock or stronger.
LOCKS = f"""
{CATALOGUE} {TOLD}, relation = 'pg_locks'::regclass AS own, virtualtransaction, pid,
  (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS server, idle_since
FROM (SELECT) AS always LEFT JOIN pg_locks ON locktype = 'relation' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (relation = 'pg_locks'::regclass AND pid = pg_backend_pid()
    OR relation IN (SELECT oid FROM locked) AND mode IN
      ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
LEFT JOIN LATERAL (
  SELECT extract(epoch FROM state_change)::text || '/' || extract(epoch FROM query_start)::text
  FROM pg_stat_get_activity(coalesce(pid, 0))  -- of NULL it tells of all
  WHERE backend_type = 'client backend'
    AND state IN ('idle in transaction', 'idle in transaction (aborted)')
) AS activity(idle_since) ON true
"""  # noqa: S608 - constants
OF_IDS = sa.text(LOCKS.format(triggers="", named="", of_triggers=""))
OF_VERSIONS = sa.text(LOCKS.format(triggers=TRIGGERS, named=NAMED, of_triggers=OF_TRIGGERS))


class Locks(NamedTuple):
    """`told`: the ground of the proof. `own`: whether the look has seen its own lock. `held`: those
    on the source of the ids."""

    told: str
    own: bool
    held: Sequence[Any]


def locks_of(
    connection: Connection, name: str, key: str, *, wide: bool, versions: bool = False
) -> Locks:
    """`name` is quoted if it has to be. `wide`: the locks on the table and its partitions, too.
    `versions`: the key is a version, which triggers may give out."""
    statement = OF_VERSIONS if versions else OF_IDS
    found = connection.execute(statement, {"name": name, "key": key, "wide": wide}).all()
    held = [row for row in found if row.own is False]
    return Locks(found[0].told, any(row.own for row in found), held)


@dataclass(frozen=True, slots=True)
class IdSequence:
    """A sequence that gives the key its values; its name as SQL has it."""

    oid: int
    name: str
    increment: int
    cache: int
    cycle: bool
    readable: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """What the catalogue tells of the table `name`, which is quoted if it has to be.

    `told` is all of it as one text. The key is the column `key_number`; `default` gives it its
    value, `defaults` are also those of the partitions. `hidden`: a policy may hide rows from this
    user.
    """

    versions: ClassVar[bool] = False  # whether the key is one, which triggers may give out

    name: str
    told: str
    shows_locks: bool
    kind: str
    standby: bool
    foreign_part: bool
    subscribed: bool
    hidden: bool
    extensions: Sequence[str]
    key_number: int
    default: str | None
    defaults: Sequence[str]
    sequences: Sequence[IdSequence]

    @property
    def visible(self) -> bool:
        """Whether all who may insert rows are seen here, by their locks."""
        whole = self.kind in TABLE_KINDS and not self.foreign_part and self.shows_locks
        return whole and not (self.standby or self.subscribed or self.extensions)

    @property
    def numbered(self) -> bool:
        """Whether each id is the next value of one sequence, and used where it was taken."""
        steps = [(one.increment, one.cache) for one in self.sequences]
        return self.plain and steps == [(1, 1)]

    @property
    def plain(self) -> bool:
        """Whether the key's value is the sequence's, not something made from it."""
        return self.default is not None and all(map(_is_plain, self.defaults))

    @property
    def counting(self) -> IdSequence | None:
        """The sequence whose rising values are the key's, if they can be read."""
        fit = [one for one in self.sequences if self.plain and one.readable and one.increment > 0]
        return fit[0] if len(fit) == len(self.sequences) == 1 else None

    @property
    def provable(self) -> bool:
        return self.visible and self.numbered


def _is_plain(default: str) -> bool:
    return default == IDENTITY or PLAIN_NEXTVAL.fullmatch(default) is not None


def literal(name: str) -> str:
    """A name as a text in SQL."""
    return "'{}'".format(name.replace("'", "''"))


def relation_of(connection: Connection, table: sa.Table, key: str) -> Relation:
    return Relation(**told_of(connection, table, key))


def told_of(
    connection: Connection, table: sa.Table, key: str, *, versions: bool = False
) -> dict[str, Any]:
    """The fields of a `Relation`, by their names, and with `versions` the triggers."""
    name = quoted_name(connection, table)
    locks = locks_of(connection, name, key, wide=False, versions=versions)
    told = json.loads(locks.told)
    sequences = [IdSequence(**one) for one in told.pop("sequences")]
    defaults = told.pop("defaults") or ()
    of_locks = {"name": name, "told": locks.told, "shows_locks": locks.own}
    return {**told, **of_locks, "sequences": sequences, "defaults": defaults}
