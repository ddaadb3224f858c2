"""The connections of one database: a pool's, and those that polls keep from one to the next.

A poll without news takes no longer than a check-out from the pool and the return to it. So polls
check a few out for good, as many as may poll at once, whatever the number of tables. Pages of rows
and what the application reads and writes go through the pool, as ever; on SQLite that makes sure
that nobody writes on a connection of polls, whose `data_version` would not tell (`unwritten.py`).

A process that is forked never uses or closes a connection of its parent: each would speak in the
other's session.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine

from poller.reading.turns import POLLS_AT_ONCE

of_a_parent: list[object] = []  # never closed, not even by the garbage collector


class Connections:
    """Those of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []

    def take(self, *, polling: bool) -> AbstractContextManager[Connection]:
        """One to use inside."""
        return self._of_polls() if polling else self._of_the_pool()

    @contextmanager
    def _of_the_pool(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            try:
                yield connection
            except BaseException:
                _end(connection)
                raise

    @contextmanager
    def _of_polls(self) -> Iterator[Connection]:
        """One that is kept, or another. After an error inside, none is: what ended one connection
        has mostly ended all."""
        idle = self._idle
        connection = idle.pop() if idle else self._engine.connect()
        try:
            yield connection
        except BaseException:
            self._give_back()
            with connection:
                _end(connection)
            raise
        if idle is not self._idle:  # disposed of meanwhile, as the pool is that it came from
            connection.invalidate()
        if idle is self._idle and len(idle) < POLLS_AT_ONCE:
            idle.append(connection)
        else:
            connection.close()

    def dispose(self) -> None:
        """Close what is idle. Those in use are closed after it."""
        self._give_back()
        self._engine.dispose()

    def _give_back(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def forget(self) -> None:
        """In a process that was just forked: leave them to the parent."""
        of_a_parent.extend((self._idle, self._engine.pool))
        self._idle = []
        self._engine.dispose(close=False)


def _end(connection: Connection) -> None:
    """Close one in whose use something was raised: whatever is wrong with its session is not met
    again by the next try. SQLite's has nothing that a file that is locked could spoil."""
    if connection.dialect.name != "sqlite":
        connection.invalidate()
