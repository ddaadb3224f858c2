"""Streams that move between workers at any moment, in any state, by chance; and what clients get.

Clients take a few bytes at a time, so a stream may be stopped after any byte. While streams are
out, everything else goes on; then they have moved, or they are put back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import gevent
import msgspec

from poller.access.admission import Admission
from poller.access.turns import Turns
from poller.delivery import place
from poller.delivery.changes_log import ChangesLog
from poller.delivery.event_log import EventLog
from poller.delivery.view import ALL, View
from poller.serving.luggage import Luggage
from poller.serving.movable import MovableStreams, Shared
from poller.serving.socket_stream import SocketStream
from poller.window_feed import WindowStreams
from tests.harness.changing import ChangingSource, ChangingTable, MapClient
from tests.harness.greenlets import until
from tests.harness.interleaving import WithViews
from tests.harness.moving import MovingClient, MovingWorker, copy_of, end
from tests.harness.simulation import SimulatedTable
from tests.harness.simulation import settings as simulated_settings
from tests.harness.windows import SimulatedQuery, WindowWorker, change

ROWS = ("message", "delete", "clear")
CLIENTS = 5
STEPS = 120


class Out(NamedTuple):
    """Streams that are on their way."""

    giver: MovableStreams
    taker: MovableStreams
    taken: list[tuple[SocketStream, Luggage]]


class Traveller:
    """A client, over all its connections."""

    def __init__(self, view: View, known: set[int]) -> None:
        self.view, self.known = view, known
        self.ids: list[int] = []
        self.last_event_id: str | None = None
        self.connection: MovingClient | None = None

    def read(self) -> None:
        """What has come; what it says is checked."""
        if (one := self.connection) is None:
            return
        one.read()
        kinds = one.kinds
        assert "reset" not in kinds, kinds
        assert kinds.count("start") <= 1 and kinds[:1] in ([], ["start"]), kinds  # noqa: PT018
        assert kinds.count("live") <= 1, kinds
        self.take(one)
        one.events = [event for event in one.events if event.type not in ROWS]
        self.last_event_id = one.parser.last_event_id or self.last_event_id

    def take(self, connection: MovingClient) -> None:
        """The rows that have come."""
        self.ids += connection.ids
        assert len(self.ids) == len({*self.ids}), self.ids


class Wandering:
    """A table of inserts with any transactions, three workers and a few clients."""

    views: Sequence[View] = WithViews.views

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.table = self.make_table()
        self.workers = [self.make_worker(rows) for rows in (3, 10, 100)]
        self.clients: list[Traveller] = []
        self.closed: list[MovingClient] = []
        self.out: list[Out] = []
        self.moved = 0  # streams
        self.moved_in_a_frame = 0

    def make_table(self) -> SimulatedTable:
        table = SimulatedTable()
        table.insert(self.chance.randint(0, 4))
        return table

    def make_worker(self, ring_rows: int, **changes: object) -> MovingWorker:
        worker = MovingWorker(self.table, log_capacity_rows=ring_rows, **changes)  # type: ignore[arg-type]
        worker.poll_until_quiet()
        return worker

    def run(self) -> None:
        before, place.REPLAY_ENTRIES = place.REPLAY_ENTRIES, 2
        try:
            for _ in range(STEPS):
                self.step()
                for _ in range(self.chance.choice((0, 0, 1, 3))):
                    gevent.sleep(0)
            self.settle()
        finally:
            place.REPLAY_ENTRIES = before
            for one in self.out:
                one.giver.put_back([stream for stream, _ in one.taken])
            connections = [one.connection for one in self.clients if one.connection]
            end([worker.streams for worker in self.workers], [*connections, *self.closed])

    def step(self) -> None:
        steps: list[tuple[int, Callable[[], object]]] = [
            (4, self.write),
            (4, lambda: self.chance.choice(self.workers).poll()),
            (2, self.client_comes),
            (6, self.client_takes),
            (1, self.client_comes_back),
            (4, self.take_out),
            (4, self.arrive),
            (1, lambda: self.chance.choice(self.workers).streams.put_back([])),
            (1, self.restart),
        ]
        weights, what = zip(*steps, strict=True)
        self.chance.choices(what, weights)[0]()

    # -- the table --------------------------------------------------------------------------

    def write(self) -> None:
        if self.chance.random() < 0.5:
            self.table.begin(self.chance.randint(1, 3))
        elif self.table.open:
            one = self.chance.choice([*self.table.open])
            self.chance.choice((self.table.commit, self.table.commit, self.table.roll_back))(one)

    def restart(self) -> None:
        """A worker without streams is replaced by one that has read little."""
        at = self.chance.randrange(len(self.workers))
        if not len(self.workers[at].streams) and not any(
            self.workers[at].streams in one[:2] for one in self.out
        ):
            self.workers[at] = self.make_worker(self.chance.choice((3, 100)), history_rows=2)

    # -- clients ----------------------------------------------------------------------------

    def client_comes(self) -> None:
        if len(self.clients) < CLIENTS:
            worker = self.chance.choice(self.workers)
            new = self.newcomer(worker)
            self.clients.append(new)
            self.connect(new, worker)

    def newcomer(self, worker: MovingWorker) -> Traveller:
        pending = {i for ids in self.table.open.values() for i in ids}
        older = {i for i in pending if i <= worker.log.floor}
        known = {i for i in self.table.committed if i in worker.log.cursor} | older
        return Traveller(self.chance.choice(self.views), known)

    def connect(self, client: Traveller, worker: Any) -> None:
        client.connection = MovingClient(
            worker.streams,
            client.last_event_id,
            view=client.view,
            chunked=self.chance.random() < 0.7,
            allowed=self.chance.choice((0, 10, 100, float("inf"))),
        )
        client.connection.parser.feed(b"id: %s\n\n" % (client.last_event_id or "").encode())

    def client_takes(self) -> None:
        if self.clients:
            client = self.chance.choice(self.clients)
            if client.connection is not None:
                client.connection.allow(self.chance.choice((1, 2, 7, 30, 100, 1000)))
            client.read()

    def client_comes_back(self) -> None:
        """With the id of what it read last. Before it was told where it stands it has none."""
        if self.clients and (client := self.chance.choice(self.clients)).last_event_id:
            if client.connection is not None:
                client.connection.socket.close()
                self.closed.append(client.connection)
            self.connect(client, self.chance.choice(self.workers))

    # -- moving -----------------------------------------------------------------------------

    def take_out(self) -> None:
        giver, taker = (one.streams for one in self.chance.sample(self.workers, 2))
        giver.loosen()
        for _ in range(self.chance.choice((0, 1, 2, 5))):
            gevent.sleep(0)
        if taken := giver.take_out(self.chance.randint(1, 4)):
            self.out.append(Out(giver, taker, taken))

    def arrive(self) -> None:
        if not self.out:
            return
        giver, taker, taken = self.out.pop(self.chance.randrange(len(self.out)))
        streams = [stream for stream, _ in taken]
        if self.chance.random() < 0.3:
            giver.put_back(streams)
            return
        copies = [copy_of(stream.client) for stream in streams]
        giver.gone(streams)
        for (_, luggage), copy in zip(taken, copies, strict=True):
            packed = msgspec.msgpack.encode(luggage)
            taker.adopt(copy, msgspec.msgpack.decode(packed, type=Luggage))
            self.moved += 1
            self.moved_in_a_frame += bool(luggage.rest)

    # -- the end ----------------------------------------------------------------------------

    def settle(self) -> None:
        while self.out:
            self.arrive()
        self.finish_writing()
        for worker in self.workers:
            worker.streams.put_back([])
            worker.poll_until_quiet()
            worker.poll_until_quiet()
        for client in self.clients:
            if client.connection is not None:
                client.connection.allow()
        until(self.all_have_all, "that all have all rows")
        for client in self.clients:
            assert self.owed(client) == {*client.ids}, (self.owed(client), client.ids)

    def finish_writing(self) -> None:
        for transaction in [*self.table.open]:
            self.table.commit(transaction)

    def all_have_all(self) -> bool:
        for worker in self.workers:
            worker.poll()
        for client in self.clients:
            client.read()
        return all(self.owed(client) <= {*client.ids} for client in self.clients)

    def owed(self, client: Traveller) -> set[int]:
        return self.table.in_view(client.view) - client.known


class AllRows(Wandering):
    """Without filters, so that most streams share what they are sent."""

    views = (ALL,)


class Changes(Wandering):
    """A table whose rows change: of each the newest state, and never an older one."""

    views = (ALL,)
    table: ChangingTable

    def make_table(self) -> ChangingTable:
        table = ChangingTable()
        table.change_now(1, 2, 3)
        return table

    def make_worker(self, ring_rows: int, **changes: object) -> MovingWorker:
        worker = ChangingMover(self.table, log_capacity_rows=ring_rows, **changes)  # type: ignore[arg-type]
        worker.poll_until_quiet()
        return worker

    def write(self) -> None:
        self.table.release()
        transaction, key = self.table.begin(), self.chance.randint(1, 4)
        if not self.table.change(transaction, key, deletes=self.chance.random() < 0.1):
            self.table.roll_back(transaction)
        elif self.chance.random() < 0.6:
            self.table.commit(transaction, keeps_locks=self.chance.random() < 0.3)
        while len(self.table.changes) > 2:
            one = next(iter(self.table.changes))
            self.chance.choice((self.table.commit, self.table.roll_back))(one)

    def newcomer(self, worker: MovingWorker) -> Traveller:
        return Holder(self.table)

    def finish_writing(self) -> None:
        for transaction in [*self.table.changes]:
            self.table.commit(transaction)
        self.table.release()

    def owed(self, client: Traveller) -> set[int]:
        assert isinstance(client, Holder)
        return {0} if client.map.has_all() else {-1}


class ChangingMover(MovingWorker):
    make_source = ChangingSource
    make_log: ClassVar[type[EventLog]] = ChangesLog


class Holder(Traveller):
    """A client that keeps the newest state of each row."""

    def __init__(self, table: ChangingTable) -> None:
        super().__init__(ALL, set())
        self.map = MapClient(table)
        self.last_event_id = "0"
        self.ids = [0]

    def take(self, connection: MovingClient) -> None:
        for event in connection.events:
            if event.type in ("message", "delete"):
                self.map._take_row(event.type, event.json)


class WindowMover:
    """A worker of a feed by window, with its streams."""

    def __init__(self, query: SimulatedQuery, ring_rows: int) -> None:
        self.window = WindowWorker(query, capacity_rows=ring_rows)
        self.log = self.window.log
        settings = simulated_settings(heartbeat_s=30.0)
        self.streams = WindowStreams("test", self.log, settings, lambda: "")
        admission, turns = Admission(1000), Turns()
        self.streams.share(Shared(admission, lambda one: turns.of(one, "test"), lambda: ""))
        self.poll()

    def poll(self) -> None:
        self.window.look()

    poll_until_quiet = poll


class Windows(Wandering):
    """The newest rows of a query: each client ends with just its answer."""

    views = (ALL, View.of({}, ["id", "sort"]))
    workers: list[Any]

    def make_table(self) -> Any:
        return SimulatedQuery(self.chance.randint(1, 6), slack=self.chance.randint(0, 4))

    def make_worker(self, ring_rows: int, **changes: object) -> Any:
        return WindowMover(self.table, self.chance.randint(1, 12))  # type: ignore[arg-type]

    def write(self) -> None:
        change(self.chance, self.table)  # type: ignore[arg-type]

    def newcomer(self, worker: Any) -> Traveller:
        return Keeper(self.chance.choice(self.views))

    def finish_writing(self) -> None:
        """There are no transactions."""

    def owed(self, client: Traveller) -> set[int]:
        assert isinstance(client, Keeper)
        window = self.table.window()  # type: ignore[attr-defined]
        shown = client.view.shown or ("id", "sort", "x")
        wanted = {one: {name: row[name] for name in shown} for one, row in window.items()}
        return {0} if client.held == wanted else {-1}


class Keeper(Traveller):
    """A client that does as it is told."""

    def __init__(self, view: View) -> None:
        super().__init__(view, set())
        self.held: dict[int, Any] = {}
        self.ids = [0]

    def take(self, connection: MovingClient) -> None:
        for event in connection.events:
            match event.type:
                case "message":
                    self.held[event.json["id"]] = event.json
                case "delete":
                    self.held.pop(event.json["id"], None)
                case "clear":
                    self.held.clear()
