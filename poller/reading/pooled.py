"""Statements that bring their session along: for PostgreSQL behind a pooler.

The settings and the statement go to the server as one message, which it takes for one transaction.
So a pooler cannot part them, it costs no round trip, and nothing of it is left to other clients.

Safety. In that message each statement has its own snapshot (READ COMMITTED), and there is one that
reads: the fences see what they see without a pooler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from psycopg import ClientCursor, Connection
from psycopg.types.datetime import IntervalLoader

ISOLATION = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "  # before anything that reads
# What the role and the database have, not what another client set on this connection.
AS_CONFIGURED = "SET LOCAL role TO DEFAULT; SET LOCAL search_path TO DEFAULT; "


def tell_each_statement(connection: Connection[Any], settings: Mapping[str, str]) -> None:
    """Let every statement of this connection bring `settings` (name → value) along."""
    each = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    values = [text for setting in settings.items() for text in setting]
    told = AS_CONFIGURED + ClientCursor(connection).mogrify(f"SELECT {each}; ", values)
    connection.cursor_factory = type("Pooled", (PooledCursor,), {"told": told})
    connection.adapters.register_loader("interval", PostgresInterval)


class PostgresInterval(IntervalLoader):
    """Reads the style that each statement brings. The driver goes by the one that the server
    reported last, which is that of the time between two statements. (Poolers keep a client's
    `datestyle`, but not all of them `intervalstyle`.)"""

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        self._load_method = self._load_postgres


class PooledCursor(ClientCursor[Any]):
    """`told` is the SQL before each statement. The result is that of the statement, the last."""

    told = ""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        if not isinstance(query, str):  # the driver's own look-ups
            return super().execute(query, params, **options)
        told = f"{ISOLATION}{self.told}" if self.connection.autocommit else self.told
        if params is not None:
            told = told.replace("%", "%%")
        super().execute(told + query, params, **options)
        return self.set_result(-1)
