"""A session: what a new connection is told, so that a value means the same on every server.

Without that, a role's or a server's settings decide how dates are written, which table a name
means, or how many digits a number has. What is told last wins: the server's settings, ours, the
URL's.

**Poolers.** A transaction pooler gives each transaction any of its server connections, with
whatever other clients left there, and ours would be left to others. So behind a pooler each
statement brings its settings along (`pooled.py`). A pooler is known by the process number that it
gave us at connect: cancelling a query goes by that, so it must be the pooler's own number, not the
server's.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from poller.reading.url import CHARSET, split_settings

CONNECT_TIMEOUT_S = 5
SERVER_GIVES_UP_LATER_S = 1.0  # than we: its error would not say that it was the timeout
# One thread, since SQLAlchemy takes locks that gevent has patched, and two threads that wait for
# each other at one can sleep for ever. So a try must not wait for a lock of SQLite's, either.
SQLITE_BUSY_TIMEOUT_S = 0.0

# The driver is told of these by the server, and reads by what it was told; poolers keep them for
# each client.
REPORTED = {"datestyle": "ISO", "timezone": "UTC", "standard_conforming_strings": "on"}
POSTGRESQL = {
    **REPORTED,
    "intervalstyle": "postgres",
    "extra_float_digits": "1",  # below, a number loses digits
    "bytea_output": "hex",
    # Each statement has its own snapshot in any level, but a reader under SERIALIZABLE makes
    # writers fail.
    "default_transaction_isolation": "read committed",
}
SQL_MODE = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"  # no ANSI_QUOTES, no padded CHAR
# A server's `sql_select_limit` would cut off the look at open transactions, and READ UNCOMMITTED
# would stream rows that are rolled back later.
MYSQL = (
    "SET time_zone = '+00:00', sql_select_limit = 18446744073709551615, sql_quote_show_create = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)


class Session(Protocol):
    """`url` and `connect_args` are what the driver is given; `begin()` gets each new connection.

    One that somebody else made goes through `adopt()` before, for what `connect_args` would say.
    """

    url: URL
    connect_args: Mapping[str, Any]

    def adopt(self, connection: Any) -> None: ...
    def begin(self, connection: Any) -> None: ...


def session_of(url: URL, query_timeout_s: float) -> Session:
    """The session of a database of this kind, whose URL `url.parsed()` has read.

    A server does not notice that its client is gone while it waits for a lock. Without a timeout
    of its own, each query that we give up would leave one behind.
    """
    give_up_s = query_timeout_s + SERVER_GIVES_UP_LATER_S
    match url.get_backend_name():
        case "sqlite":
            return SqliteSession(url)
        case "postgresql":
            return PostgresSession(url, give_up_s)
        case "mysql" | "mariadb":
            return MysqlSession(url, give_up_s)
        case _:
            return OtherSession(url)


class OtherSession:
    """A database that is not known here."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.connect_args: Mapping[str, Any] = {}

    def adopt(self, connection: Any) -> None:
        """Nothing is known that it needs."""

    def begin(self, connection: Any) -> None:
        """Neither here."""


class SqliteSession:
    """WAL: readers and a writer do not wait for each other. A read-only file stays as it is."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.connect_args: Mapping[str, Any] = {"timeout": SQLITE_BUSY_TIMEOUT_S}

    def adopt(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_S:.0f}")

    def begin(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise


class PostgresSession:
    """No start-up parameter that PgBouncer as installed refuses, and no prepared statements: the
    names of those belong to the server's connection, which a pooler gives to others, and their
    columns keep the types that they had before an ALTER."""

    def __init__(self, url: URL, give_up_s: float) -> None:
        self.url, given = split_settings(url)
        timeout = {"statement_timeout": f"{1000 * give_up_s:.0f}ms"}
        self._settings = {**POSTGRESQL, **timeout, **given}
        defaults = {
            "fallback_application_name": "rowcast",
            "client_encoding": "utf8",  # not the database's, which may be none: SQL_ASCII
            "connect_timeout": CONNECT_TIMEOUT_S,
        }
        ours = {name: value for name, value in defaults.items() if name not in url.query}
        self.connect_args: Mapping[str, Any] = {**ours, "prepare_threshold": None}

    def adopt(self, connection: Any) -> None:
        connection.autocommit = True
        connection.prepare_threshold = None
        self._set(connection, {"client_encoding": "utf8"})

    def begin(self, connection: Any) -> None:
        connection.autocommit = True
        reported = {name: self._settings[name] for name in REPORTED}
        self._set(connection, reported)
        (server_pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        if connection.info.backend_pid == server_pid:
            self._set(connection, self._settings)
        else:
            from poller.reading.pooled import tell_each_statement  # needs psycopg

            tell_each_statement(connection, self._settings)
        connection.autocommit = False  # as SQLAlchemy takes a new one to be

    @staticmethod
    def _set(connection: Any, settings: Mapping[str, str]) -> None:
        each = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        values = [text for setting in settings.items() for text in setting]
        connection.execute(f"SELECT {each}", values)


class MysqlSession:
    """MariaDB's or MySQL's. The URL's `init_command` comes last, so that it wins."""

    def __init__(self, url: URL, give_up_s: float) -> None:
        command = url.query.get("init_command", ())
        self._commands = [command] if isinstance(command, str) else [*command]
        self.url = url.difference_update_query(["init_command"])
        defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "charset": CHARSET, "sql_mode": SQL_MODE}
        self.connect_args: Mapping[str, Any] = {
            name: value for name, value in defaults.items() if name not in url.query
        }
        self._give_up_s = give_up_s

    def adopt(self, connection: Any) -> None:
        connection.set_character_set(CHARSET)
        with connection.cursor() as cursor:
            cursor.execute(f"SET sql_mode = '{SQL_MODE}'")

    def begin(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            for command in (*MYSQL, self._timeouts(connection), *self._commands):
                cursor.execute(command)

    def _timeouts(self, connection: Any) -> str:
        """For locks, which are waited for a day as installed, and for what takes long otherwise."""
        if "MariaDB" in connection.get_server_info():
            query = f"max_statement_time = {self._give_up_s:g}"
        else:
            query = f"max_execution_time = {1000 * self._give_up_s:.0f}"
        return f"SET lock_wait_timeout = {math.ceil(self._give_up_s)}, {query}"


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler is between us and the server, as far as that shows: on PostgreSQL."""
    return is_drivers_pooled(connection.connection.dbapi_connection)


def is_drivers_pooled(connection: object) -> bool:
    """The same of a connection of the driver's."""
    return hasattr(getattr(connection, "cursor_factory", None), "told")
