"""Where MariaDB's and MySQL's versions come from: triggers, and what they draw them from.

A trigger is executed by a statement that has locked the table's metadata (SHARED_WRITE) before, and
its transaction holds that to the end. So what proves something of AUTO_INCREMENT proves it of a
version that a trigger draws, if numbers are drawn in their order: a sequence object gives them out
one after the other, whoever asks; a counter row is locked by whoever has counted it up. A row is
locked before its trigger is called, so its versions rise.

AUTO_INCREMENT itself numbers no UPDATE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading import after_grace
from poller.reading.dialects import mysql_findings as findings
from poller.reading.dialects.facts import Finding
from poller.reading.dialects.mysql_ground import Ground
from poller.reading.dialects.versions import (
    INSERT,
    RECIPES,
    UPDATE,
    Numbered,
    generator_findings,
)
from poller.reading.fence import GracePeriod

# A sequence, a counter row, the AUTO_INCREMENT of another table.
DRAWN = re.compile(
    r"\bnextval\s*\(|\bnext\s+value\s+for\b"
    r"|\bset\s+`?(\w+)`?\s*=\s*(?:last_insert_id\s*\(\s*)?`?\1`?\s*\+\s*1\b"
    r"|\binsert\s+into\b.*\blast_insert_id\s*\(\s*\)",
    re.IGNORECASE | re.DOTALL,
)
MAY_SEE = sa.text("""
SELECT EXISTS (
  SELECT 1 FROM information_schema.user_privileges
  WHERE privilege_type = 'TRIGGER' AND grantee = :me
  UNION ALL SELECT 1 FROM information_schema.schema_privileges
  WHERE privilege_type = 'TRIGGER' AND grantee = :me
    AND COALESCE(:schema, DATABASE()) LIKE table_schema
  UNION ALL SELECT 1 FROM information_schema.table_privileges
  WHERE privilege_type = 'TRIGGER' AND grantee = :me AND table_name = :table
    AND table_schema = COALESCE(:schema, DATABASE())
)
""")
NOT_KNOWN = (
    *findings.NOT_KNOWN,
    "not noticed: versions that start again, as after ALTER SEQUENCE ... RESTART",
    "a needless reset: the row with the newest version was deleted, and no worker runs on",
)
ME = sa.text("SELECT CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')")


def numbered_by(ground: Ground, version: str) -> tuple[Numbered, Numbered]:
    """How an INSERT, and how an UPDATE, gets its version."""
    sets = re.compile(rf"\bnew\.`?{re.escape(version)}`?\s*=", re.IGNORECASE)
    triggers = {one.event: one.name for one in ground.triggers if sets.search(one.body)}
    default = ground.default if ground.default and DRAWN.search(ground.default) else ""
    return Numbered(default, triggers.get(INSERT, "")), Numbered(trigger=triggers.get(UPDATE, ""))


def unclear(ground: Ground, version: str) -> list[str]:
    """The triggers of which it cannot be told what they draw the version from."""
    names = {one.trigger for one in numbered_by(ground, version)} - {""}
    clear = {one.name for one in ground.triggers if DRAWN.search(one.body)}
    return sorted(names - clear)


def is_numbered(ground: Ground, version: str) -> bool:
    """Whether each change gets a number that is drawn in its turn."""
    return all(numbered_by(ground, version)) and not unclear(ground, version)


def findings_of(
    connection: Connection, table: sa.Table, version: str, ground: Ground, grace: GracePeriod
) -> Iterator[Finding]:
    """How versions are given out."""
    shown = f"SHOW TRIGGERS LIKE '{table.name}'"
    late = after_grace.lacks(grace).replace(INSERT, f"{INSERT} or {UPDATE}")
    how = numbered_by(ground, version)
    if not all(how) and not _may_see_triggers(connection, table):
        yield Finding(
            f"this user may not see the triggers of {table.name}",
            f"{late}, since nobody knows whether the database numbers the changes",
            f"GRANT TRIGGER ON {table.name} to this user",
            "SHOW GRANTS",
        )
        return
    yield from generator_findings(table, version, *how, shown)
    for name in unclear(ground, version):
        yield Finding(
            f"it cannot be told from what the trigger {name} takes the version",
            late,
            f"let it draw from a sequence or count up a counter row: {RECIPES}",
            shown,
        )


def uncommitted(refusal: str, grace: GracePeriod) -> Finding:
    """As that of `mysql_findings.py`: a version is written after its row."""
    return Finding(
        f"{refusal}; open transactions are seen by their uncommitted rows",
        f"a change whose statement takes longer than {grace.seconds:g} s, as when it waits for a "
        "lock, may be missed by open streams; so may one that was undone for as long by ROLLBACK "
        "TO SAVEPOINT of another change of the row",
        findings.SHOW_LOCKS,
        "SHOW GLOBAL VARIABLES LIKE 'performance_schema'",
    )


def _may_see_triggers(connection: Connection, table: sa.Table) -> bool:
    me = connection.scalar(ME)
    names = {"me": me, "schema": table.schema, "table": table.name}
    return bool(connection.scalar(MAY_SEE, names))
