"""What a proof rests on in MariaDB and MySQL: read when a table is looked at, and at each look.

Each is one of the server's settings or of the table's, and can be changed while Rowcast runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
SELECT extra FROM information_schema.columns
WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table AND column_name = :key
""")


@dataclass(frozen=True, slots=True)
class Ground:
    """`kind` and `engine` are the table's, `numbered` says whether AUTO_INCREMENT gives the key.
    `variables` have lower-case names."""

    kind: str
    engine: str | None
    numbered: bool
    variables: Mapping[str, str]


def ground_of(connection: Connection, table: sa.Table, key: str) -> Ground:
    names = {"schema": table.schema, "table": table.name}
    kind, engine = connection.execute(TABLE, names).one_or_none() or ("", None)
    extra = connection.scalar(COLUMN, {**names, "key": key})
    told = [*connection.execute(VARIABLES), *connection.execute(STATUS)]
    variables = {str(name).lower(): str(value) for name, value in told}
    return Ground(kind, engine, "auto_increment" in (extra or "").lower(), variables)
