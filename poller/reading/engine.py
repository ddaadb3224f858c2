"""The engine: SQLAlchemy's pool of our own connections, each told what a session needs.

They are made from a URL, or by an engine that an application has already: with its certificates,
its `creator` and its listeners. That engine's pool, and the connections in it, stay the
application's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from poller.reading.session import Session
from poller.reading.turns import AHEAD, OTHERS_AT_ONCE, POLLS_AT_ONCE
from poller.reading.url import parsed

UrlOrEngine = str | Engine
EXTRAS = {"psycopg": "rowcast[postgresql]", "pymysql": "rowcast[mysql]"}  # by the driver's module


def url_of(source: UrlOrEngine) -> URL:
    """The URL with its driver. Raises ValueError for what cannot be used, and says what to do."""
    if isinstance(source, str):
        return parsed(source)
    try:
        return parsed(source.url.render_as_string(hide_password=False))
    except ValueError as error:
        raise ValueError(
            f"the engine cannot be used: {error}; or give its URL instead of the engine"
        ) from None


def engine_of(source: UrlOrEngine, session: Session, pool_timeout_s: float) -> Engine:
    """An engine of our own. Connects to nothing yet. Raises ImportError without its driver."""
    try:
        engine = create_engine(
            session.url,
            # Reads are nearly all there is: they switch nothing on, and send nothing but
            # themselves.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=OTHERS_AT_ONCE,  # that stay; polls keep their own: see kept.py
            max_overflow=POLLS_AT_ONCE + AHEAD,
            pool_timeout=pool_timeout_s,
            connect_args=dict(session.connect_args),
        )
    except ImportError as error:
        raise _driver_missing(session.url, error) from None
    if isinstance(source, str):
        told = _told(session, _connect, adopted=False)
    else:
        told = _told(session, _connect_by(source), adopted=True)
    event.listen(engine, "do_connect", told)
    return engine


def _driver_missing(url: URL, error: ImportError) -> ImportError:
    """The same error in words that say what to do. `psycopg` may be there without its library."""
    driver = url.get_driver_name()
    fault = "is not installed"
    if error.name != driver:
        fault = f"cannot be loaded ({next(iter(str(error).splitlines()), 'no reason given')})"
    told = f"{driver}, the driver for {url.get_backend_name()}, {fault}"
    if driver in EXTRAS:
        told += f": pip install '{EXTRAS[driver]}'"
    return ImportError(told, name=error.name)


def _connect(dialect: Any, args: Any, options: Any) -> Any:
    return dialect.connect(*args, **options)


def _connect_by(engine: Engine) -> Callable[..., Any]:
    pool = engine.pool.recreate()  # makes connections as the engine does, and keeps none for it

    def connect(*_: object) -> Any:
        taken = pool.connect()
        connection = taken.dbapi_connection
        taken.detach()
        return connection

    return connect


def _told(session: Session, connect: Callable[..., Any], *, adopted: bool) -> Callable[..., Any]:
    """A new connection, told what it needs before SQLAlchemy asks it anything."""

    def do_connect(dialect: Any, _record: object, args: Any, options: Any) -> Any:
        connection = connect(dialect, args, options)
        try:
            if adopted:
                connection.rollback()  # what a listener of the application's may have begun
                session.adopt(connection)
            session.begin(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    return do_connect
