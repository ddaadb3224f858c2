"""The database: engine, connections, and calls that never block the hub.

psycopg 3 and PyMySQL wait cooperatively once gevent has patched the standard library. sqlite3 is C
code that does not: an inline query froze everybody for 0.56 s, a lock wait for 2.02 s. SQLite calls
therefore run in a thread beside the hub, and a lock is waited for out here, between tries, where
the wait is cooperative.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool
from sqlalchemy import Connection, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

T = TypeVar("T")

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
CONNECT_TIMEOUT_S = 5
POOL_CONNECTIONS = 5  # kept open per worker; the poller needs one
POOL_OVERFLOW = 10  # opened under load and closed again
# One thread, since SQLAlchemy takes locks that gevent has patched, and two threads that wait for
# each other at one can sleep for ever. So a try must not wait for a lock of SQLite's, either.
SQLITE_THREADS = 1
SQLITE_BUSY_TIMEOUT_S = 0.0
SQLITE_RETRY_WAIT_S = (0.005, 0.025)
POSTGRESQL_DISK_FULL = "53100"
MYSQL_FULL = ((1021,), (1114,))  # ER_DISK_FULL, ER_RECORD_FILE_FULL
POSTGRESQL_REFUSED = "42501"  # insufficient_privilege
MYSQL_REFUSED = ((1044,), (1142,), (1143,))  # access denied: to a database, a table, a column
SERVER_GIVES_UP_LATER_S = 1.0  # than we: its error would not say that it was the timeout


class DatabaseTimeout(TimeoutError):  # noqa: N818 - as the built-in
    """The database did not answer within the query timeout; the connection was closed."""


class Database:
    """One database. Makes no connection before the first call, so that none is copied by a fork.

    `url` is any of `sqlite:///path`, `postgresql://…`, `mysql://…`, `mariadb://…`, or a SQLAlchemy
    URL with a driver of its own. Raises ValueError for an in-memory SQLite database, which every
    thread would have for itself.
    """

    def __init__(self, url: str, *, query_timeout_s: float = 10.0) -> None:
        self.url = _with_driver(make_url(url))
        self.query_timeout_s = query_timeout_s
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database in (None, "", ":memory:"):
            raise ValueError("an in-memory SQLite database cannot be watched; name a file")
        # Reads are nearly all there is: they switch nothing on, and send nothing but themselves.
        self._engine = create_engine(
            self.url,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            **self._engine_options(),
        )
        level = "SERIALIZABLE" if self.is_sqlite else "READ COMMITTED"
        self._transactional = self._engine.execution_options(isolation_level=level)
        self._threads: ThreadPool | None = None
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql`, `mysql`, `mariadb` or what else SQLAlchemy calls it."""
        return self.url.get_backend_name()

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, given a connection in which each statement commits by itself.

        So each statement has its own snapshot, which the fences rely on. `work` may run twice:
        when SQLite says "locked", and when a pooled connection proves dead.

        Raises DatabaseTimeout, and SQLAlchemyError for whatever the database says.
        """

        def run() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return self._call(lambda: _again_if_disconnected(run))

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns; all it did is one transaction, committed when it returns.

        `work` may run again where SQLite said "locked": nothing of the earlier try was kept.
        Raises as `read()`; after an error in the commit itself the outcome is unknown.
        """

        def run() -> T:
            # A dead pooled connection shows here, where nothing was written yet.
            _again_if_disconnected(self._ping)
            with self._transactional.begin() as connection:
                return work(connection)

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
        """Close what is idle in the pool. Calls under way keep their connection to their end."""
        self._call(self._engine.dispose)

    def close(self) -> None:
        """Close connections and threads. The next call opens new ones."""
        self.dispose()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.kill()

    def _ping(self) -> None:
        if not self.is_sqlite:
            with self._engine.connect() as connection:
                connection.execute(select(1))

    def _call(self, run: Callable[[], T]) -> T:
        return self._run_sqlite(run) if self.is_sqlite else self._run_timed(run)

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

    def _run_sqlite(self, run: Callable[[], T]) -> T:
        """Tries until the lock is free or the query timeout is over. A try that runs is never
        abandoned: its thread would go on, and commit what its caller was told had failed."""
        if self._threads is None:
            self._threads = ThreadPool(SQLITE_THREADS)
        threads = self._threads
        tries = Retrying(
            retry=retry_if_exception(is_locked),
            wait=wait_random(*SQLITE_RETRY_WAIT_S),
            stop=stop_after_delay(self.query_timeout_s),
            sleep=gevent.sleep,
            reraise=True,
        )
        result: T = tries(lambda: _value(threads.apply(_outcome, (run,))))
        return result

    def _engine_options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": SQLITE_BUSY_TIMEOUT_S}}
        options: dict[str, Any] = {
            "pool_size": POOL_CONNECTIONS,
            "max_overflow": POOL_OVERFLOW,
            "pool_timeout": self.query_timeout_s,
        }
        connect_args: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
        if self.dialect == "postgresql":
            # A backend that waits for a lock does not notice that its client is gone: without a
            # timeout of its own, each query that we give up would leave one behind.
            give_up_ms = int(1000 * (self.query_timeout_s + SERVER_GIVES_UP_LATER_S))
            options_sent = f"-c timezone=UTC -c statement_timeout={give_up_ms}"
            connect_args |= {"application_name": "rowcast", "options": options_sent}
        elif self.dialect in ("mysql", "mariadb"):
            connect_args |= {"charset": "utf8mb4", "init_command": "SET time_zone = '+00:00'"}
        return {**options, "connect_args": connect_args}


def is_refused(error: BaseException) -> bool:
    """Whether this user lacks the privilege, however often it tries."""
    cause = _cause(error)
    return getattr(cause, "sqlstate", None) == POSTGRESQL_REFUSED or cause.args[:1] in MYSQL_REFUSED


def is_locked(error: BaseException) -> bool:
    """Whether SQLite refused because somebody else holds a lock."""
    code = getattr(_cause(error), "sqlite_errorcode", 0) or 0
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _cause(error: BaseException) -> BaseException:
    """The driver's own error."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def _with_driver(url: URL) -> URL:
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _outcome(run: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What `run` returns or raises. gevent would print a traceback for what leaves its thread."""
    try:
        return run(), None
    except Exception as error:  # noqa: BLE001 - raised again in the calling greenlet
        return None, error


def _value(outcome: tuple[Any, Exception | None]) -> Any:
    value, error = outcome
    if error is not None:
        raise error
    return value


def _again_if_disconnected(run: Callable[[], T]) -> T:
    """Once more where the connection was dead: SQLAlchemy has emptied the pool by then."""
    try:
        return run()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return run()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """WAL: readers and a writer do not wait for each other. A read-only file stays as it is."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if is_locked(error):
            raise
