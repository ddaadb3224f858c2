"""A PostgreSQL channel: who listens is told of a NOTIFY when its transaction commits.

It takes a connection of its own, beside the pool's. Behind a pooler that shares the server's
connections among its clients nothing would be heard, and LISTEN would be left to a stranger: so
that is found out before.
"""

from __future__ import annotations

from typing import Any

import gevent
from sqlalchemy import literal, select
from sqlalchemy.sql.functions import func

from poller.reading.database import Database, DatabaseTimeout
from poller.reading.pooler import is_shared
from poller.reading.session import is_drivers_pooled

SERVER_PID = "SELECT pg_backend_pid()"
LISTENING = "SELECT %s IN (SELECT pg_listening_channels())"


class Deaf(Exception):  # noqa: N818 - the text is a sentence
    """Nothing can be heard here, however often it is tried; the text says why."""


class Lost(Exception):  # noqa: N818 - the text is a sentence
    """It listens no more, though its connection works."""


class Channel:
    """`name` is an identifier in lower case. Methods raise what the driver raises."""

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._driver: Any = None  # its connection

    @property
    def is_open(self) -> bool:
        return self._driver is not None

    @property
    def descriptor(self) -> int:
        """Of its socket, which is readable when something is heard, or the connection has ended."""
        return int(self._driver.fileno())

    def open(self) -> None:
        """Connect and listen. Raises Deaf, and what `Database.read` raises."""
        self._driver = self._database.connect()
        self._driver.autocommit = True
        if is_drivers_pooled(self._driver) and is_shared(self._server_pid, self._database):
            raise Deaf(
                "a transaction pooler is between Rowcast and PostgreSQL, through which LISTEN "
                "hears nothing: name the server itself, or unset ROWCAST_LISTEN"
            )
        with self._bounded():
            self._driver.execute(f'LISTEN "{self.name}"')

    def heard(self) -> list[str]:
        """The payloads that have come since the last call. Never waits."""
        return [str(one.payload) for one in self._driver.notifies(timeout=0)]

    def check(self) -> None:
        """Raises if the server is not there any more, or has forgotten that it is listened to."""
        with self._bounded():
            (listening,) = self._driver.execute(LISTENING, [self.name]).fetchone()
        if not listening:
            raise Lost("the server has forgotten it")

    def close(self) -> None:
        """Twice does nothing."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def _server_pid(self) -> int:
        with self._bounded():
            return int(self._driver.execute(SERVER_PID).fetchone()[0])

    def _bounded(self) -> gevent.Timeout:
        seconds = self._database.query_timeout_s
        return gevent.Timeout(seconds, DatabaseTimeout(f"no answer within {seconds:g} s"))


def notify(connection: Any, channel: str, payload: str) -> None:
    """Have a transaction tell those who listen, when it commits. `connection` is SQLAlchemy's, or a
    session."""
    connection.execute(select(func.pg_notify(literal(channel), literal(payload))))
