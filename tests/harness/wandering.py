"""Streams that move between workers at any moment, in any state, by chance; and what clients get.

Clients take a few bytes at a time, so a stream may be stopped after any byte. While streams are
out, everything else goes on; then they have moved, or they are put back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gevent
import msgspec

from poller.delivery import place
from poller.delivery.view import ALL, View
from poller.serving.luggage import Luggage
from poller.serving.movable import MovableStreams
from poller.serving.socket_stream import SocketStream
from tests.harness.greenlets import until
from tests.harness.interleaving import WithViews
from tests.harness.moving import MovingClient, MovingWorker, copy_of, end
from tests.harness.simulation import SimulatedTable

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
        self.ids += one.ids
        assert len(self.ids) == len({*self.ids}), self.ids
        one.events = [event for event in one.events if event.type != "message"]
        self.last_event_id = one.parser.last_event_id or self.last_event_id


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
            assert self.owed(client) == {*client.ids}

    def finish_writing(self) -> None:
        for transaction in [*self.table.open]:
            self.table.commit(transaction)

    def all_have_all(self) -> bool:
        for client in self.clients:
            client.read()
        return all(self.owed(client) <= {*client.ids} for client in self.clients)

    def owed(self, client: Traveller) -> set[int]:
        return self.table.in_view(client.view) - client.known


class AllRows(Wandering):
    """Without filters, so that most streams share what they are sent."""

    views = (ALL,)
