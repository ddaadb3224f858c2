"""What is between us and PostgreSQL: nothing, or a pooler, and how that shares its connections."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from poller.reading.database import Database
from poller.reading.dialects.facts import Finding
from poller.reading.session import is_pooled

TRIES = 3  # another client may come between


def pooler_findings(database: Database) -> list[Finding]:
    """A finding if there is a pooler. It takes nothing from the promise: see session.py."""

    def look(connection: Connection) -> list[Finding]:
        if not is_pooled(connection):
            return []
        if is_shared(lambda: _server_pid(connection), database):
            return [
                Finding(
                    "a transaction pooler is between Rowcast and PostgreSQL: each statement "
                    "brings its settings along, and none is prepared"
                )
            ]
        return [Finding("a pooler in session mode is between Rowcast and PostgreSQL")]

    return database.read(look)


def is_shared(server_pid: Callable[[], int], database: Database) -> bool:
    """Whether the pooler gives others the server's process that works for a connection, of which
    `server_pid()` tells the number: somebody else got it when it had just worked for us, or we got
    another one."""

    def was_shared() -> bool:
        before = server_pid()
        return database.read(_server_pid) == before or server_pid() != before

    return any(was_shared() for _ in range(TRIES))


def _server_pid(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
