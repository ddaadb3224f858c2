"""What PostgreSQL's catalogue tells of a table, in words."""

# ruff: noqa: S608 - the statements are shown to a person, not executed

from __future__ import annotations

from collections.abc import Iterable, Iterator

from poller.reading.dialects import postgresql_generator
from poller.reading.dialects.facts import LIMITS, NEEDLESS_LATER, UNKNOWN_LATER, Finding
from poller.reading.dialects.postgresql_generator import Standing
from poller.reading.dialects.postgresql_relation import EXTENSIONS, TABLE_KINDS, Relation, literal
from poller.reading.fence import GracePeriod

SHOW_EXTENSIONS = f"SELECT extname FROM pg_extension WHERE extname IN {EXTENSIONS}"
NOT_KNOWN = (
    *LIMITS,
    f"{UNKNOWN_LATER} ids given out again after setval() had set the sequence back",
    f"{UNKNOWN_LATER} the server's files put back as they were, and written beyond the newest id",
    "a needless reset: an ALTER TABLE that also rewrites the sequence (the key's type, SET LOGGED)",
    "a needless reset: a default of the key that names another sequence",
    f"{NEEDLESS_LATER} a sequence that was altered",
)
NO_SYSTEM = Finding(
    "this user may not call pg_control_system(), which tells one cluster from another",
    "a cluster that is created again, and filled from a dump with the same numbers, is not noticed",
    "GRANT EXECUTE ON FUNCTION pg_control_system() TO this user",
)


def of(
    relation: Relation,
    table: str,
    key: str,
    grace: GracePeriod,
    standing: Standing | None,
    generator: Iterable[Finding],
) -> list[Finding]:
    """`table` and `key` are their names, `generator` says how the key gets its values."""
    found = [*_place(relation, grace), *_writers(relation, table, grace)]
    if relation.kind in TABLE_KINDS:
        found += generator
    if standing:
        found += postgresql_generator.misplaced(relation, key, standing)
    if relation.provable and not relation.versions:
        found.append(Finding("open transactions are seen by their locks on the sequence"))
    elif relation.visible:
        found.append(Finding("open transactions are seen by their locks on the table"))
    return found


def _place(relation: Relation, grace: GracePeriod) -> Iterator[Finding]:
    if relation.standby:
        yield Finding(
            "this is a hot standby, which does not know the primary's open transactions",
            grace.lacks,
            "poll the primary",
            "SELECT pg_is_in_recovery()",
        )
    else:
        yield Finding("this is a primary")
    if not relation.shows_locks:
        yield Finding(
            "pg_locks does not show the locks that are held",
            grace.lacks,
            "let this user read pg_locks as PostgreSQL has it",
            "SELECT * FROM pg_locks WHERE pid = pg_backend_pid()",
        )
    for name in relation.extensions:
        yield Finding(
            f"the extension {name} may bring rows of other servers, in an order of its own",
            grace.lacks,
            "poll a database that does not have it",
            SHOW_EXTENSIONS,
        )


def _writers(relation: Relation, table: str, grace: GracePeriod) -> Iterator[Finding]:
    """Whose rows come here, and which are shown."""
    kind = f"SELECT relkind FROM pg_class WHERE oid = {literal(relation.name)}::regclass"
    if relation.kind not in TABLE_KINDS:
        yield Finding(
            f"{table} is a view or a foreign table, on which no transaction holds a lock",
            grace.lacks,
            "watch the table behind it",
            kind,
        )
    elif relation.foreign_part:
        yield Finding(
            f"a partition of {table} is on another server, whose transactions are not seen here",
            grace.lacks,
            "watch the partitions that are here",
            f"SELECT relid FROM pg_partition_tree({literal(relation.name)}) JOIN pg_class"
            " ON oid = relid WHERE relkind = 'f'",
        )
    if relation.subscribed:
        yield Finding(
            f"a subscription brings rows to {table}, in the order of the publisher's commits",
            grace.lacks,
            "poll the publisher",
            "SELECT srrelid::regclass FROM pg_subscription_rel",
        )
    if relation.hidden:
        yield Finding(
            f"row-level security may hide rows of {table} from this user",
            "a hidden row is not streamed, nor when it becomes visible later",
            "let this user have BYPASSRLS, or a policy that shows every row",
            f"SELECT row_security_active({literal(relation.name)})",
        )
