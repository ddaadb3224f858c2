"""What a proof rests on in MariaDB and MySQL: read when a table is looked at, and at each look.

Each is one of the server's settings or of the table's, and can be changed while Rowcast runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

VARIABLES = sa.text("""
SHOW GLOBAL VARIABLES WHERE variable_name IN
  ('innodb_autoinc_lock_mode', 'read_only', 'innodb_read_only', 'wsrep_on', 'performance_schema',
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
SELECT extra, column_default FROM information_schema.columns
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table AND column_name = :key
""")
TRIGGERS = sa.text("""
SELECT trigger_name, event_manipulation, action_statement FROM information_schema.triggers
WHERE event_object_schema = COALESCE(:schema, DATABASE()) AND event_object_table = :table
  AND action_timing = 'BEFORE' ORDER BY trigger_name
""")


class Trigger(NamedTuple):
    """One that is called before `event`: INSERT, UPDATE or DELETE."""

    name: str
    event: str
    body: str


@dataclass(frozen=True, slots=True)
class Ground:
    """`kind` and `engine` are the table's, `numbered` says whether AUTO_INCREMENT gives the key.
    `variables` have lower-case names. If the key is a version, its `default` and the table's
    `triggers`, those that this user may see, are known."""

    kind: str
    engine: str | None
    numbered: bool
    variables: Mapping[str, str]
    of_version: bool = False
    default: str = ""
    triggers: Sequence[Trigger] = ()


def ground_of(
    connection: Connection, table: sa.Table, key: str, *, of_version: bool = False
) -> Ground:
    names = {"schema": table.schema, "table": table.name}
    kind, engine = connection.execute(TABLE, names).one_or_none() or ("", None)
    extra, default = connection.execute(COLUMN, {**names, "key": key}).one_or_none() or ("", None)
    told = [*connection.execute(VARIABLES), *connection.execute(STATUS)]
    variables = {str(name).lower(): str(value) for name, value in told}
    numbered = "auto_increment" in (extra or "").lower()
    if not of_version:
        return Ground(kind, engine, numbered, variables)
    triggers = [Trigger(*one) for one in connection.execute(TRIGGERS, names)]
    return Ground(kind, engine, numbered, variables, True, str(default or ""), triggers)
