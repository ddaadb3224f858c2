"""One run: writers on a real database, two workers that look and restart, four clients that hop and
are cut off after any frame. All of it from a seed, but for what the database does."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from gevent.event import Event
from sqlalchemy import Connection, Engine

from poller.reading.database import Database
from poller.reading.windows import volatile
from poller.reading.windows.query import Asked
from poller.reading.windows.source import WindowSource
from poller.runtime.settings import Settings
from poller.window.log import WindowLog
from poller.window.looker import Looker
from poller.window.subscriber import WindowSubscriber
from tests.campaigns.windows.subjects import OWNERS, Subject
from tests.harness.windows import WindowClient

NUMBERS = 16  # of rows that writers work on
LATE = range(100, 108)  # of rows that a transaction inserts which stays open for a while
CLIENTS = 4
FEED = "test"


class Worker:
    """One that looks when it is told to."""

    def __init__(self, url: str, subject: Subject, size: int, slack: int, ring_rows: int) -> None:
        self.database = Database(url)
        self.log = WindowLog(ring_rows, 2**20)
        asked = Asked(subject.source, FEED, subject.key, None, subject.order_by, size)
        source = WindowSource(asked, self.database, Settings(), size + slack)
        self.looker = Looker(FEED, source, self.log, size, Settings(), lambda: True)

    def look(self) -> None:
        self.looker.poll()

    def subscribe(
        self, last_event_id: str | None = None, *, only_news: bool = False
    ) -> WindowSubscriber:
        return WindowSubscriber(FEED, self.log, last_event_id, Event(), lambda: "not yet")

    def close(self) -> None:
        self.database.close()


class Client(WindowClient):
    """Holds rows by a key of any columns."""

    def __init__(self, key: Sequence[str]) -> None:
        super().__init__()
        self.key = key

    def key_of(self, told: dict[str, Any]) -> Any:
        return tuple(told[name] for name in self.key)


@dataclass
class Writers:
    """What changes the rows. One transaction may stay open, whose rows nobody else touches."""

    engine: Engine
    subject: Subject
    chance: random.Random
    open: Connection | None = None
    commits: int = 0
    done: dict[str, int] = field(default_factory=dict)

    def change(self) -> None:
        kinds = (self._insert, self._update, self._move, self._delete, self._rename, self._late)
        kind = self.chance.choices(kinds, [6, 6, 3, 4, 1, 3])[0]
        self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
        if kind == self._late:
            self._late()
        elif self.open is None or self.engine.dialect.name != "sqlite":  # which has one writer
            with self.engine.begin() as connection:
                kind(connection)  # type: ignore[call-arg]
                if self.chance.random() < 0.1:
                    connection.rollback()

    def settle(self) -> None:
        """End what is open."""
        if self.open is not None:
            self._late()

    def _where(self) -> tuple[str, dict[str, Any]]:
        key = self.subject.key_of(self.chance.randrange(NUMBERS))
        return " AND ".join(f"{name} = :{name}" for name in key), dict(key)

    def _insert(self, connection: Connection, numbers: range = range(NUMBERS)) -> None:
        key = dict(self.subject.key_of(self.chance.choice(numbers)))
        where = " AND ".join(f"{name} = :{name}" for name in key)
        if connection.scalar(sa.text(f"SELECT 1 FROM items WHERE {where}"), key):
            return
        names = [*key, "sort", "x", "owner"]
        values = ", ".join(f":{name}" for name in names)
        sort = self.chance.choice([self.commits, 5, self.chance.randrange(20)])
        self.commits += 1
        connection.execute(
            sa.text(f"INSERT INTO items ({', '.join(names)}) VALUES ({values})"),
            {
                **key,
                "sort": sort,
                "x": self.chance.randrange(3),
                "owner": self.chance.randrange(OWNERS),
            },
        )

    def _update(self, connection: Connection) -> None:
        where, key = self._where()
        values = {"x": self.chance.randrange(3), **key}
        connection.execute(sa.text(f"UPDATE items SET x = :x WHERE {where}"), values)

    def _move(self, connection: Connection) -> None:
        where, key = self._where()
        values = {"sort": self.chance.randrange(20), **key}
        connection.execute(sa.text(f"UPDATE items SET sort = :sort WHERE {where}"), values)

    def _delete(self, connection: Connection) -> None:
        where, key = self._where()
        connection.execute(sa.text(f"DELETE FROM items WHERE {where}"), key)

    def _rename(self, connection: Connection) -> None:
        owner, who = self.chance.randrange(OWNERS), f"owner {self.chance.randrange(2)}"
        values = {"who": who, "id": owner}
        connection.execute(sa.text("UPDATE owners SET who = :who WHERE id = :id"), values)

    def _late(self) -> None:
        """Begin a transaction that stays open, or end it."""
        if self.open is None:
            self.open = self.engine.connect()
            self.open.begin()
            self._insert(self.open, LATE)
            return
        if self.chance.random() < 0.8:
            self.open.commit()
        else:
            self.open.rollback()
        self.open.close()
        self.open = None


@contextmanager
def writing(url: str, subject: Subject, chance: random.Random) -> Iterator[Writers]:
    database = Database(url)
    database.read(lambda connection: connection.scalar(sa.select(1)))  # SQLite's file becomes WAL
    engine = sa.create_engine(database.url, isolation_level=None)
    database.close()
    try:
        with engine.begin() as connection:
            subject.create(connection)
        writers = Writers(engine, subject, chance)
        yield writers
        if writers.open is not None:
            writers.open.close()
    finally:
        engine.dispose()


def run(url: str, subject: Subject, seed: int, steps: int = 120) -> list[str]:
    """What is wrong at the end: nothing, it is hoped. The database is empty before."""
    chance = random.Random(seed)
    size, slack = chance.randint(1, 8), chance.randint(0, 6)

    def worker() -> Worker:
        return Worker(url, subject, size, slack, ring_rows=chance.choice([1, 3, 8, 100]))

    with ExitStack() as stack:
        # The check for volatile columns would take a second at each start of a worker.
        stack.enter_context(patch.object(volatile, "LONGER_THAN_A_SECOND_S", 0.0))
        writers = stack.enter_context(writing(url, subject, chance))
        workers = [worker(), worker()]
        clients = [Client(subject.key) for _ in range(CLIENTS)]
        stack.callback(_close, workers)
        for _ in range(steps):
            _step(chance, writers, workers, clients, worker)
            if wrong := _untruthful(clients):
                return wrong
        writers.settle()
        for _ in range(2):
            for client in clients:
                if client.stream is None:
                    client.connect(chance.choice(workers))  # type: ignore[arg-type]
            for one in workers:
                one.look()
            for client in clients:
                client.pull()
        with writers.engine.connect() as connection:
            expected = subject.expected(connection, size)
        return [*_untruthful(clients), *_diverged(clients, expected)]


def _step(
    chance: random.Random,
    writers: Writers,
    workers: list[Worker],
    clients: list[Client],
    make: Callable[[], Worker],
) -> None:
    client = chance.choice(clients)
    match chance.choices(range(5), [40, 25, 10, 22, 3])[0]:
        case 0:
            for _ in range(chance.randint(1, 4)):
                writers.change()
        case 1:
            chance.choice(workers).look()
        case 2:
            client.drop()
            client.connect(chance.choice(workers))  # type: ignore[arg-type]
        case 3:
            client.pull(chance.choice([None, None, 0, 1, 2, 3]))
        case _:
            for at in chance.choice([[0], [1], [0, 1]]):
                _restart(workers, at, clients, make)


def _close(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close()


def _restart(
    workers: list[Worker], at: int, clients: list[Client], make: Callable[[], Worker]
) -> None:
    for client in clients:
        if client.stream is not None and client.stream._log is workers[at].log:
            client.drop()
    workers[at].close()
    workers[at] = make()


def _untruthful(clients: Sequence[Client]) -> list[str]:
    return [
        f"client {at}: its id says {client.last_id}, it holds {json.dumps([*client.held.values()])}"
        for at, client in enumerate(clients)
        if client.last_id is not None and client.what_its_id_says() != client.what_it_holds()
    ]


def _diverged(clients: Sequence[Client], expected: dict[Any, Any]) -> list[str]:
    return [
        f"client {at}: holds {client.held}, the query answers {expected}"
        for at, client in enumerate(clients)
        if client.held != expected
    ]
