"""What is said of MariaDB and MySQL, and what to do about it."""

from __future__ import annotations

import sqlalchemy as sa

from poller.ids.ranges import MAX_ID
from poller.reading import after_grace
from poller.reading.dialects.facts import LIMITS, NEEDLESS_LATER, UNKNOWN_LATER, Finding
from poller.reading.dialects.mysql_ground import Ground
from poller.reading.fence import GracePeriod

SHOW_LOCKS = (
    "set performance_schema=ON and performance-schema-instrument='wait/lock/metadata/sql/mdl=ON' "
    "in the server's configuration, and GRANT SELECT ON performance_schema.* to this user"
)
SHOW_COLUMN = (
    "SELECT extra, column_key FROM information_schema.columns WHERE table_name = '{}'"
    " AND column_name = '{}'"
)
IS_MYSQL = Finding(
    "this is MySQL, which updates AUTO_INCREMENT in its catalogue late",
    "ids that start again are not noticed, unless the table was recreated",
    "recreate the table (TRUNCATE, DROP) instead of deleting rows and setting AUTO_INCREMENT back",
    "SELECT version()",
)
NO_INNODB_ID = Finding(
    "InnoDB's own id of the table cannot be seen",
    "a table that was truncated and filled again while a client was away is not noticed by it",
    "GRANT PROCESS ON *.* to this user; a partitioned table has none",
    "SHOW GRANTS",
)
NOT_KNOWN = (
    *LIMITS,
    f"{UNKNOWN_LATER} ids set back, or a table recreated, within a second of its last ALTER",
    f"{NEEDLESS_LATER} a table that was altered or rewritten, or has a new partition",
)
LOCKS_SEEN = Finding("open transactions are seen by their metadata locks")


def generator(table: str, key: str, ground: Ground, grace: GracePeriod) -> Finding:
    if ground.numbered:
        return Finding(f"{table}.{key} is an AUTO_INCREMENT key")
    return Finding(
        f"{table}.{key} is not AUTO_INCREMENT",
        after_grace.lacks(grace),
        f"make {table}.{key} AUTO_INCREMENT",
        SHOW_COLUMN.format(table, key),
    )


def exhausted(table: str, counter: int | None) -> list[Finding]:
    """`counter`: AUTO_INCREMENT's newest value. A BIGINT UNSIGNED goes on to 2^64."""
    if counter is None or counter < MAX_ID - 1:
        return []
    return [
        Finding(
            f"AUTO_INCREMENT of {table} has reached {counter}",
            "rows whose id is above 2^63 - 2 are not streamed",
            f"give the rows of {table} lower ids, and set AUTO_INCREMENT back",
            f"SHOW TABLE STATUS LIKE '{table}'",
        )
    ]


def unseen(table: sa.Table, ground: Ground) -> tuple[str, str, str] | None:
    """Why the open transactions of this table cannot be seen from here, what to do, and the SQL
    that shows it."""
    variables = ground.variables
    made = f"SHOW TABLE STATUS LIKE '{table.name}'"
    if ground.kind.endswith("VIEW"):  # a system-versioned table is a table
        return f"{table.name} is a view", "watch the table behind it", made
    if ground.engine != "InnoDB":
        remedy = f"ALTER TABLE {table.name} ENGINE = InnoDB"
        return f"{table.name} has the engine {ground.engine}", remedy, made
    if variables.get("wsrep_on") == "ON":
        return (
            "this is one node of a cluster: the others' transactions are not seen here",
            "write through this node only",
            "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'",
        )
    if any(variables.get(name, "OFF") != "OFF" for name in ("read_only", "innodb_read_only")):
        return (
            "this server is read only, as a replica is",
            "poll the primary",
            "SHOW GLOBAL VARIABLES LIKE '%read_only'",
        )
    if variables.get("slaves_running", "0") != "0":
        return (
            "this server replicates from another, whose transactions are not seen here",
            "poll the primary",
            "SHOW GLOBAL STATUS LIKE 'Slaves_running'",
        )
    if variables.get("auto_increment_increment", "1") != "1":
        return (
            "auto_increment_increment is not 1: several servers give out ids",
            "write through one server only, with an increment of 1",
            "SHOW GLOBAL VARIABLES LIKE 'auto_increment_increment'",
        )
    return None


def uncommitted(refusal: str, ground: Ground, grace: GracePeriod, *, rows_first: bool) -> Finding:
    """What a look at uncommitted rows does not see: ids that a statement took and has not used
    yet. `refusal`: why the locks cannot be read. `rows_first`: a row is written by its key before
    anything else that may have to wait."""
    slow, remedy = "an INSERT of several rows" if rows_first else "an INSERT", SHOW_LOCKS
    if ground.variables.get("innodb_autoinc_lock_mode") == "2":
        refusal += ", and innodb_autoinc_lock_mode is 2"
        slow += ", or an INSERT ... SELECT," if rows_first else ""
        remedy += "; or at least set innodb_autoinc_lock_mode to 1"
    fact = f"{refusal}; open transactions are seen by their uncommitted rows"
    if not rows_first:
        fact += ", and the key is not the primary key, where a row is written first"
    return Finding(
        fact,
        f"{slow} that takes longer than {grace.seconds:g} s, as when it waits for a lock, may be "
        "missed in part by open streams",
        remedy,
        "SHOW GLOBAL VARIABLES WHERE variable_name IN "
        "('performance_schema', 'innodb_autoinc_lock_mode')",
    )
