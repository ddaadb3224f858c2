"""Feeds by window without a database: a query whose answer is made up, workers that look at it, and
clients that may be cut off after any frame."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from gevent.event import Event

from poller.reading.windows.look import Look, Raw
from poller.runtime.settings import Settings
from poller.window import subscriber, token
from poller.window.log import WindowLog
from poller.window.looker import Looker
from poller.window.subscriber import WindowSubscriber
from poller.window.token import EMPTY, Token
from poller.wire import frames, notices, row
from poller.wire.row import KeyedRow

FEED = "test"


class SimulatedShape:
    """Rows are `(id, sort, x)`."""

    key: Sequence[str] = ("id",)
    names: Sequence[str] = ("id", "sort", "x")

    def key_of(self, raw: Raw) -> object:
        return raw[0]

    def row(self, raw: Raw) -> KeyedRow:
        columns = dict(zip(self.names, raw, strict=True))
        return KeyedRow(0, columns, key={"id": raw[0]})


class SimulatedQuery:
    """`rows`: id → (sort, x). The answer is those with the greatest `sort`, ties by id."""

    def __init__(self, size: int, slack: int = 64) -> None:
        self.size, self.slack = size, slack
        self.rows: dict[int, tuple[Any, Any]] = {}
        self.shape = SimulatedShape()
        self.looks = 0
        self.fail: Exception | None = None

    def answer(self, limit: int) -> list[Raw]:
        order = sorted(self.rows, key=lambda one: (self.rows[one][0], one), reverse=True)
        return [(one, *self.rows[one]) for one in order[:limit]]

    def look(self) -> Look | None:
        self.looks += 1
        if self.fail is not None:
            raise self.fail
        return Look(self.shape, self.answer(self.size + self.slack))

    def window(self) -> dict[int, Any]:
        """What a client that is level holds."""
        names = self.shape.names
        return {one[0]: dict(zip(names, one, strict=True)) for one in self.answer(self.size)}


class WindowWorker:
    """A worker that looks when it is told to. One that restarts is another one."""

    def __init__(
        self, query: SimulatedQuery, *, capacity_rows: int = 1000, capacity_bytes: int = 2**20
    ) -> None:
        self.query = query
        self.log = WindowLog(capacity_rows, capacity_bytes)
        self.listening = True
        self.now = 0.0
        self.looker = Looker(
            FEED, query, self.log, query.size, Settings(), lambda: self.listening,
            wall=lambda: self.now,
        )  # fmt: skip

    def look(self) -> None:
        self.looker.poll()

    def subscribe(
        self, last_event_id: str | None = None, *, only_news: bool = False
    ) -> WindowSubscriber:
        why: Callable[[], str] = lambda: "not yet"  # noqa: E731
        return WindowSubscriber(FEED, self.log, last_event_id, Event(), why, only_news=only_news)


class WindowClient:
    """What a page does: rows by key. It checks that each id says exactly what it holds."""

    key: Sequence[str] = ("id",)

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.last_id: str | None = None
        self.stream: WindowSubscriber | None = None
        self.taken: list[frames.Event] = []

    def connect(self, worker: WindowWorker) -> None:
        self.stream = worker.subscribe(self.last_id)

    def drop(self) -> None:
        if self.stream is not None:
            self.stream.stopped = True
        self.stream = None

    def pull(self, at_most: int | None = None) -> None:
        """Take what there is; `at_most` so many frames, then the connection is cut."""
        while self.stream is not None and (chunk := self.stream.next_chunk()):
            for event in frames.events(chunk):
                if at_most == 0:
                    break
                self.apply(event)
                at_most = at_most if at_most is None else at_most - 1
            if at_most == 0:
                break
        if at_most is not None:
            self.drop()

    def apply(self, event: frames.Event) -> None:
        self.taken.append(event)
        match event.kind:
            case frames.ROW:
                told = json.loads(event.data)
                self.held[self.key_of(told)] = told
                identity = row.to_json({name: told[name] for name in self.key}).encode()
                self.bodies[identity] = b"data: %b\n" % event.data
            case row.DELETE_EVENT:
                self.held.pop(self.key_of(json.loads(event.data)), None)
                self.bodies.pop(event.data, None)
            case row.CLEAR_EVENT:
                self.held.clear()
                self.bodies.clear()
            case notices.START_EVENT | notices.LIVE_EVENT | frames.COMMENT | frames.RETRY:
                pass
            case other:
                raise AssertionError(other)
        self.last_id = event.id or self.last_id

    def key_of(self, told: dict[str, Any]) -> Any:
        """By which it keeps a row."""
        return told["id"]

    def what_it_holds(self) -> Token:
        held = EMPTY
        for identity, lines in self.bodies.items():
            held = held.with_row(token.weight(identity, lines))
        return held

    def what_its_id_says(self) -> Token | None:
        return token.parse(self.last_id, token.epoch_of(FEED, self.key)) if self.last_id else None


def converged(seed: int, *, truthful: bool = True) -> bool:
    """One random run: a query that changes in every way, two workers that look and restart, four
    clients that hop and are cut off after any frame. Whether every client then holds just the
    query's answer. `truthful`: also check at each step that an id says what its client holds."""
    chance = random.Random(seed)
    query = SimulatedQuery(chance.randint(1, 6), slack=chance.randint(0, 4))
    workers = [_worker(query, chance) for _ in range(2)]
    clients = [WindowClient() for _ in range(4)]
    for _ in range(chance.randint(5, 60)):
        _step(chance, query, workers, clients)
        if truthful:
            assert all(_is_truthful(client) for client in clients), seed
    for _ in range(2):
        for client in clients:
            if client.stream is None:
                client.connect(chance.choice(workers))
        for worker in workers:
            worker.look()
        for client in clients:
            client.pull()
    assert not truthful or all(_is_truthful(client) for client in clients), seed
    return all(client.held == query.window() for client in clients)


def _worker(query: SimulatedQuery, chance: random.Random) -> WindowWorker:
    worker = WindowWorker(query, capacity_rows=chance.randint(1, 12))
    if chance.random() < 0.5:
        worker.look()
    return worker


def _step(
    chance: random.Random,
    query: SimulatedQuery,
    workers: list[WindowWorker],
    clients: list[WindowClient],
) -> None:
    client = chance.choice(clients)
    match chance.choices(range(6), [40, 25, 10, 20, 4, 1])[0]:
        case 0:
            for _ in range(chance.randint(1, 3)):
                change(chance, query)
        case 1:
            chance.choice(workers).look()
        case 2:
            client.drop()
            client.connect(chance.choice(workers))
        case 3:
            client.pull(chance.choice([None, None, 0, 1, 2, 3]))
        case 4:
            _restart(chance, query, workers, clients, [chance.randrange(len(workers))])
        case 5:
            _restart(chance, query, workers, clients, [*range(len(workers))])


def _restart(
    chance: random.Random,
    query: SimulatedQuery,
    workers: list[WindowWorker],
    clients: list[WindowClient],
    which: Sequence[int],
) -> None:
    rings = [workers[at].log for at in which]
    for client in clients:
        if client.stream is not None and client.stream._log in rings:
            client.drop()
    for at in which:
        workers[at] = _worker(query, chance)


def change(chance: random.Random, query: SimulatedQuery) -> None:
    """Insert, also late or with ties; update a value, which has few, so that updates are undone;
    change the place in the order; delete; insert again what was deleted."""
    rows, there = query.rows, [*query.rows]
    new = chance.randint(1, 14)
    match chance.randrange(8):
        case 0 | 1 | 2 if new not in rows:
            rows[new] = (chance.choice([new, new, 5]), chance.randint(0, 1))
        case 3 | 4 if there:
            one = chance.choice(there)
            rows[one] = (rows[one][0], chance.randint(0, 2))
        case 5 if there:
            one = chance.choice(there)
            rows[one] = (chance.randint(1, 14), rows[one][1])
        case 6 if there:
            del rows[chance.choice(there)]
        case 7 if chance.random() < 0.1:
            rows.clear()
        case _:
            pass


def _is_truthful(client: WindowClient) -> bool:
    return client.last_id is None or client.what_its_id_says() == client.what_it_holds()


__all__ = [
    "SimulatedQuery", "SimulatedShape", "WindowClient", "WindowWorker", "change", "converged",
    "subscriber",
]  # fmt: skip
