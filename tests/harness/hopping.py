"""Clients that hop between workers while rows change: what hurts most, in any order, by chance.

A row has a state that one worker has read and another has not. Its next state is committed late:
the second worker passes over it, and the first reads it. A client has that from the first one, and
comes to the second. A transaction that is open all the time keeps every number in doubt.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.harness.changing import ChangingTable, ChangingWorker, MapClient, changing_worker

KEYS = (1, 2, 3)
STEPS_LEFT_OUT = 0.1


class Hopping:
    """Three workers, with rings of different sizes, and four clients."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.table = ChangingTable()
        self.table.change_now(*KEYS)
        self.workers = [changing_worker(self.table, log_capacity_rows=rows) for rows in (1, 3, 99)]
        self.clients = [MapClient(self.table) for _ in range(4)]
        self.table.change(self.table.begin(), 9)

    def run(self, rounds: int) -> None:
        try:
            for _ in range(rounds):
                self.round()
            self.settle()
        finally:
            for client in self.clients:
                client.drop()

    def round(self) -> None:
        """The steps in order, but for some that are left out and some that others come between."""
        behind, ahead = self.random.sample(self.workers, 2)
        key, other = self.random.sample(KEYS, 2)
        client = self.random.choice(self.clients)
        late = self.table.begin()
        steps: list[Callable[[], object]] = [
            lambda: self.write(key),
            behind.poller.poll,
            lambda: self.read_all(behind),
            lambda: self.table.change(late, key, deletes=self.random.random() < 0.2),
            lambda: self.write(other),
            behind.poller.poll,
            lambda: self.end_while_polled(late, behind, ahead, client),
            ahead.poller.poll,
            lambda: self.read(client, ahead),
            lambda: self.read(client, behind),
            lambda: self.read_all(behind),
        ]
        for step in steps:
            if self.random.random() > STEPS_LEFT_OUT:
                step()
            if self.random.random() < 2 * STEPS_LEFT_OUT:
                self.random.choice((self.write_any, self.poll_any, self.read_any))()
        if late in self.table.changes:
            self.random.choice((self.table.commit, self.table.roll_back))(late)
        self.table.release()

    # -- steps ------------------------------------------------------------------------------

    def write(self, key: int) -> None:
        transaction = self.table.begin()
        done = self.table.change(transaction, key, deletes=self.random.random() < 0.1)
        (self.table.commit if done else self.table.roll_back)(transaction)

    def write_any(self) -> None:
        self.write(self.random.choice(KEYS))

    def poll_any(self) -> None:
        self.random.choice(self.workers).poller.poll()

    def read(self, client: MapClient, worker: ChangingWorker) -> None:
        """Come, wait for what the worker has to find out, be sent some of it, and perhaps go."""
        client.connect(worker)
        cut = self.random.choice((None, None, None, 5, 60))
        client.take(self.random.randint(1, 6))
        if self.random.random() < 0.8:
            worker.poller.poll()
            client.take(self.random.randint(1, 6), cut=cut)

    def read_any(self) -> None:
        self.read(self.random.choice(self.clients), self.random.choice(self.workers))

    def read_all(self, worker: ChangingWorker) -> None:
        for client in self.clients:
            if client.connected_to is worker:
                client.take(self.random.randint(1, 6))

    def end_while_polled(
        self, late: int, behind: ChangingWorker, ahead: ChangingWorker, client: MapClient
    ) -> None:
        """A transaction commits, and may keep its locks for a moment: between a look at who is
        open and the read that follows it, or before."""

        def end() -> None:
            if late in self.table.changes:
                self.table.commit(late, keeps_locks=self.random.random() < 0.5)

        def learn() -> None:
            end()
            ahead.poller.poll()
            self.read(client, ahead)
            client.connect(behind)
            client.take(1)

        behind.source.between = self.random.choice((end, learn))  # type: ignore[attr-defined]
        if self.random.random() < 0.3:
            behind.poller.poll()
        behind.source.between = None  # type: ignore[attr-defined]
        end()

    # -- the end ----------------------------------------------------------------------------

    def settle(self) -> None:
        """Everybody has the table."""
        for transaction in [*self.table.changes]:
            self.table.commit(transaction)
        self.table.release()
        for number, client in enumerate(self.clients):
            worker = self.workers[number % len(self.workers)]
            client.connect(worker)
            for _ in range(4):
                worker.poll_until_quiet()
                client.take()
            assert client.has_all(), (client.rows, self.table.states)
            assert client.resets == []
