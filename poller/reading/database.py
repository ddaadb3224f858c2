"""The database: engine, connections, and calls that never block the hub.

psycopg 3 and PyMySQL wait cooperatively once gevent has patched the standard library. sqlite3 is C
code that does not: an inline query froze everybody for 0.56 s, a lock wait for 2.02 s. SQLite calls
therefore run in a thread beside the hub, and a lock is waited for out here, between tries, where
the wait is cooperative.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar
from weakref import WeakSet

import gevent
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from poller.reading.engine import UrlOrEngine, engine_of, url_of
from poller.reading.kept import Connections, of_a_parent
from poller.reading.session import session_of
from poller.reading.thread import Thread
from poller.reading.turns import Turns
from poller.runtime.settings import QUERY_TIMEOUT_S

T = TypeVar("T")

POSTGRESQL_DISK_FULL = "53100"
MYSQL_FULL = ((1021,), (1114,))  # ER_DISK_FULL, ER_RECORD_FILE_FULL
POSTGRESQL_REFUSED = "42501"  # insufficient_privilege
MYSQL_REFUSED = ((1044,), (1142,), (1143,))  # access denied: to a database, a table, a column


_all: WeakSet[Database] = WeakSet()


class DatabaseTimeout(TimeoutError):  # noqa: N818 - as the built-in
    """The database did not answer within the query timeout; the connection was closed."""


class Database:
    """One database. Makes no connection before the first call, so that none is copied by a fork.

    `source` is a URL, any of `sqlite:///path`, `postgresql://…`, `mysql://…` and `mariadb://…`,
    with options as docs/databases.md has them; or an engine of the application, which then makes
    the connections. Raises ValueError for one that cannot be used, and for an in-memory SQLite
    database, which every thread would have for itself; ImportError if its driver is not installed.
    """

    def __init__(self, source: UrlOrEngine, *, query_timeout_s: float = QUERY_TIMEOUT_S) -> None:
        session = session_of(url_of(source), query_timeout_s)
        self.url = session.url
        self.query_timeout_s = query_timeout_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database in (None, "", ":memory:"):
            raise ValueError("an in-memory SQLite database cannot be watched; name a file")
        self._engine = engine_of(source, session, query_timeout_s)
        level = "SERIALIZABLE" if self.is_sqlite else "READ COMMITTED"
        self._transactional = self._engine.execution_options(isolation_level=level)
        self._connections = Connections(self._engine)
        self._thread = Thread()
        self._turns = Turns()
        self._connecting_first = threading.Lock()
        self._connected = False
        _all.add(self)

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql`, `mysql`, `mariadb` or what else SQLAlchemy calls it."""
        return self.url.get_backend_name()

    def read(self, work: Callable[[Connection], T], *, polling: bool = False) -> T:
        """What `work` returns, given a connection in which each statement commits by itself.

        So each statement has its own snapshot, which the fences rely on. `work` may run twice:
        when SQLite says "locked", and when a pooled connection proves dead. `polling`: it is a
        poller's, which does not wait for others' reads.

        Raises DatabaseTimeout, and SQLAlchemyError for whatever the database says.
        """

        def run() -> T:
            with self._turn(polling=polling), self._connections.take(polling=polling) as one:
                return work(one)

        return self._call(lambda: _again_if_disconnected(run))

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns; all it did is one transaction, committed when it returns.

        `work` may run again if SQLite said "locked": nothing of the earlier try was kept.
        Raises as `read()`; after an error in the commit itself the outcome is unknown.
        """

        def run() -> T:
            with self._turn():
                # A dead pooled connection shows here, where nothing was written yet.
                _again_if_disconnected(self._ping)
                with self._transactional.begin() as connection:
                    return work(connection)

        return self._call(run)

    def connect(self) -> Any:
        """A connection of the driver's, none of the pool's, for the caller to close. Raises as
        `read()`."""

        def run() -> Any:
            taken = self._engine.raw_connection()
            driver = taken.dbapi_connection
            taken.detach()
            return driver

        self._connect_first()
        return self._call(run)

    @staticmethod
    def is_full(error: BaseException) -> bool:
        """Whether what `write()` raised means that there is no room: disk, quota or page limit."""
        cause = _cause(error)
        return (
            getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            or getattr(cause, "sqlstate", None) == POSTGRESQL_DISK_FULL
            or cause.args[:1] in MYSQL_FULL
        )

    def dispose(self) -> None:
        """Close what is idle. Calls under way keep their connection to their end."""
        self._call(self._connections.dispose)

    def close(self) -> None:
        """Close connections and threads. The next call opens new ones."""
        self.dispose()
        self._thread.end()

    def forget(self) -> None:
        """In a process that was just forked: what is open, threads too, is the parent's."""
        of_a_parent.append(self._thread.forget())
        self._connections.forget()

    def _turn(self, *, polling: bool = False) -> AbstractContextManager[None]:
        """Inside, the caller may take a connection. SQLite has one thread, and so one."""
        if self.is_sqlite:
            return nullcontext()
        self._connect_first()
        return self._turns.take(polling=polling)

    def _connect_first(self) -> None:
        """One alone at first: SQLAlchemy learns from it about the server, and what connects
        meanwhile would be used without that knowledge."""
        if self._connected:
            return
        with self._connecting_first:
            if not self._connected:
                self._engine.connect().close()
                self._connected = True

    def _ping(self) -> None:
        if not self.is_sqlite:
            with self._engine.connect() as connection:
                connection.execute(select(1))

    def _call(self, run: Callable[[], T]) -> T:
        if self.is_sqlite:
            return self._thread.run(run, is_locked, self.query_timeout_s)
        return self._run_timed(run)

    def _run_timed(self, run: Callable[[], T]) -> T:
        # gevent.Timeout is no Exception. That is the point: SQLAlchemy then takes the connection
        # for broken and closes it, which it is in the middle of a query.
        timer = gevent.Timeout.start_new(self.query_timeout_s)
        try:
            return run()
        except gevent.Timeout as timeout:
            if timeout is not timer:
                raise
            raise DatabaseTimeout(f"no answer within {self.query_timeout_s:g} s") from None
        finally:
            timer.close()


def is_refused(error: BaseException) -> bool:
    """Whether this user lacks the privilege, however often it tries."""
    cause = _cause(error)
    return getattr(cause, "sqlstate", None) == POSTGRESQL_REFUSED or cause.args[:1] in MYSQL_REFUSED


def is_locked(error: BaseException) -> bool:
    """Whether SQLite refused because somebody else holds a lock."""
    code = getattr(_cause(error), "sqlite_errorcode", 0) or 0
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def raise_if_away(error: Exception) -> None:
    """Raises `error` if it is the database that fails, and not the statement or a value."""
    if is_locked(error) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        raise error


def _cause(error: BaseException) -> BaseException:
    """The driver's own error."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def _again_if_disconnected(run: Callable[[], T]) -> T:
    """Once more if the connection was dead: SQLAlchemy has emptied the pool by then."""
    try:
        return run()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return run()


def _forget_all() -> None:
    for database in [*_all]:
        database.forget()


os.register_at_fork(after_in_child=_forget_all)
