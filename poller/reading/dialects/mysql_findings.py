"""What is said of MariaDB and MySQL, and what to do about it."""

from __future__ import annotations

import sqlalchemy as sa

from poller.reading.dialects.facts import Finding
from poller.reading.fence import GracePeriod

SHOW_LOCKS = (
    "set performance_schema=ON and performance-schema-instrument='wait/lock/metadata/sql/mdl=ON' "
    "in the server's configuration, and GRANT SELECT ON performance_schema.* to this user"
)
IS_MYSQL = Finding(
    "this is MySQL, which updates AUTO_INCREMENT in its catalogue late",
    "ids that start again are not noticed, unless the table was recreated",
    "recreate the table (TRUNCATE, DROP) instead of deleting rows and setting AUTO_INCREMENT back",
)
NO_INNODB_ID = Finding(
    "InnoDB's own id of the table cannot be seen",
    "a table that was truncated and filled again while a client was away is not noticed by it",
    "GRANT PROCESS ON *.* to this user; a partitioned table has none",
)
LOCKS_SEEN = Finding("open transactions are seen by their metadata locks")


def generator(key: str, *, generated: bool) -> Finding:
    if generated:
        return Finding(f"{key} is an AUTO_INCREMENT key")
    return Finding(
        f"{key} is not AUTO_INCREMENT",
        "rows are missed whose ids were taken before their INSERT began",
        f"make {key} AUTO_INCREMENT",
    )


def unseen(
    table: sa.Table, kind: str, engine: str | None, variables: dict[str, str]
) -> tuple[str, str] | None:
    """Why the open transactions of this table cannot be seen from here, and what to do."""
    if kind.endswith("VIEW"):  # a system-versioned table is a table
        return f"{table.name} is a view", "watch the table behind it"
    if engine != "InnoDB":
        return f"{table.name} has the engine {engine}", f"ALTER TABLE {table.name} ENGINE = InnoDB"
    if variables.get("wsrep_on") == "ON":
        return "this is one node of a cluster: the others' transactions are not seen here", (
            "write through this node only"
        )
    if variables.get("read_only", "OFF") != "OFF":
        return "this server is read only, as a replica is", "poll the primary"
    if variables.get("Slaves_running", "0") != "0":
        return "this server replicates from another, whose transactions are not seen here", (
            "poll the primary"
        )
    if variables.get("auto_increment_increment", "1") != "1":
        return "auto_increment_increment is not 1: several servers give out ids", (
            "write through one server only, with an increment of 1"
        )
    return None


def uncommitted(refusal: str, variables: dict[str, str], grace: GracePeriod) -> Finding:
    """What a look at uncommitted rows does not see: ids that a statement took and has not used
    yet. `refusal`: why the locks cannot be read."""
    slow, remedy = "an INSERT of several rows", SHOW_LOCKS
    if variables.get("innodb_autoinc_lock_mode") == "2":
        refusal += ", and innodb_autoinc_lock_mode is 2"
        slow += ", or an INSERT ... SELECT,"
        remedy += "; or at least set innodb_autoinc_lock_mode to 1"
    return Finding(
        f"{refusal}; open transactions are seen by their uncommitted rows",
        f"{slow} that takes longer than {grace.seconds:g} s, as when it waits for a lock, may be "
        "missed in part by open streams",
        remedy,
    )
