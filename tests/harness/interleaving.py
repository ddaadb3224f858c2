"""Any interleaving of writers, workers and clients, for hypothesis; over any kind of stream."""

from collections.abc import Sequence

import gevent
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from poller.delivery import backfill
from poller.delivery import place as delivery
from poller.delivery.view import ALL, View
from tests.harness.simulation import Client, Worker, table_with, worker_with


class AnyInterleaving(RuleBasedStateMachine):
    """Writers, two workers and clients that are dropped at any byte and come back to either."""

    client_of_a_kind: type[Client] = Client
    views: Sequence[View] = (ALL,)  # of which each client has one
    repeats = False  # whether a row may come twice

    @initialize(rows=st.integers(0, 4))
    def begin(self, rows: int) -> None:
        self.replay_entries, delivery.REPLAY_ENTRIES = delivery.REPLAY_ENTRIES, 2
        self.table = table_with(rows)
        # One has to read the table for nearly everything, the other nearly never.
        self.workers = [worker_with(self.table), worker_with(self.table, log_capacity_rows=100)]
        self.clients: list[Client] = []
        self.known: list[set[int]] = []

    @rule(rows=st.integers(1, 3))
    def transaction_begins(self, rows: int) -> None:
        self.table.begin(rows)

    @rule(which=st.integers(0, 9), commits=st.booleans())
    def transaction_ends(self, which: int, commits: bool) -> None:
        if self.table.open:
            transaction = sorted(self.table.open)[which % len(self.table.open)]
            (self.table.commit if commits else self.table.roll_back)(transaction)

    @rule(which=st.integers(0, 1))
    def worker_restarts(self, which: int) -> None:
        """Killed, with its streams; the next one starts near the newest row."""
        for client in self.clients:
            if client.connected_to is self.workers[which]:
                client.drop()
        self.workers[which] = worker_with(
            self.table, history_rows=2, log_capacity_rows=[3, 100][which]
        )

    @rule(which=st.integers(0, 1))
    def worker_polls(self, which: int) -> None:
        self.workers[which].poller.poll()

    @rule(commits=st.booleans())
    def all_transactions_end(self, *, commits: bool) -> None:
        for transaction in [*self.table.open]:
            (self.table.commit if commits else self.table.roll_back)(transaction)

    @rule(which=st.integers(0, 1), view=st.integers(0, 9))
    def client_comes(self, which: int, view: int) -> None:
        """From now."""
        worker = self.workers[which]
        client = self.client_of_a_kind(view=self.views[view % len(self.views)])
        self.known.append(self.not_owed_from_now_on(worker))
        client.connect(worker)
        client.take(2)
        assert client.ids == []
        self.clients.append(client)

    def not_owed_from_now_on(self, worker: Worker) -> set[int]:
        """What this worker has delivered, and what comes from a transaction that is older than the
        worker, below its floor."""
        pending = {i for ids in self.table.open.values() for i in ids}
        older = {i for i in pending if i <= worker.log.floor}
        return {i for i in self.table.committed if i in worker.log.cursor} | older

    @rule(client=st.integers(0, 9), which=st.integers(0, 1))
    def client_comes_back(self, client: int, which: int) -> None:
        if self.clients:
            self.clients[client % len(self.clients)].connect(self.workers[which])

    @rule(which=st.integers(0, 1), chunks=st.integers(1, 6), commits=st.booleans())
    def storm(self, which: int, chunks: int, *, commits: bool) -> None:
        """All come back to one worker and read at once, while it polls and transactions end."""
        for client in self.clients:
            client.connect(self.workers[which])
        reading = [gevent.spawn(client.take, chunks) for client in self.clients]
        gevent.sleep(0)
        self.all_transactions_end(commits=commits)
        self.workers[which].poll_until_quiet()
        gevent.joinall(reading, timeout=60, raise_error=True)
        assert all(one.ready() for one in reading)

    @rule(client=st.integers(0, 9), chunks=st.integers(1, 6), cut=st.none() | st.integers(0, 80))
    def client_reads(self, client: int, chunks: int, cut: int | None) -> None:
        if self.clients:
            self.clients[client % len(self.clients)].take(chunks, cut=cut)

    @invariant()
    def nobody_sees_a_row_twice_or_one_that_is_not_there(self) -> None:
        for client in self.clients:
            assert self.repeats or len(client.ids) == len(set(client.ids))
            assert set(client.ids) <= self.table.in_view(client.view)
            assert client.resets == []

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            self.everybody_gets_the_rest()
        finally:
            for client in self.clients:
                client.drop()
            delivery.REPLAY_ENTRIES = self.replay_entries

    def everybody_gets_the_rest(self) -> None:
        for transaction in [*self.table.open]:
            self.table.commit(transaction)
        for worker in self.workers:
            worker.poll_until_quiet()
            worker.poll_until_quiet()
        for client, known in zip(self.clients, self.known, strict=True):
            client.read(self.workers[len(client.ids) % 2])
            owed = self.table.in_view(client.view) - known
            assert owed <= set(client.ids) if self.repeats else sorted(client.ids) == sorted(owed)


class WithViews(AnyInterleaving):
    """The same with filters: rows of one view among those of others, in blocks and by queries of
    its own, and views that are left by their last stream and opened again."""

    views = (
        ALL,
        View.of({"room": [1]}),
        View.of({"room": [0, 2]}),
        View.of({"room": [None]}),
        View.of({"owner": ["ann"]}),
        View.of({"owner": ["Ann", "nobody"], "room": [None, 2]}),
        View.of({"room": [1]}, ["id"]),
        View.of({"owner": ["nobody"]}),
    )

    def __init__(self) -> None:
        super().__init__()
        self.bounds = backfill.BLOCK_LACKED, backfill.FIRST_BLOCK_IDS, backfill.FEWEST_BLOCK_IDS
        backfill.BLOCK_LACKED, backfill.FIRST_BLOCK_IDS, backfill.FEWEST_BLOCK_IDS = 4, 4, 2

    @rule(client=st.integers(0, 9), which=st.integers(0, 1), view=st.integers(0, 9))
    def client_comes_back_with_another_view(self, client: int, which: int, view: int) -> None:
        """What it has is of the other one: it has to begin again."""
        if not self.clients or not self.clients[client % len(self.clients)].last_event_id:
            return
        at, new = client % len(self.clients), self.views[view % len(self.views)]
        one, worker = self.clients[at], self.workers[which]
        if one.view == new:
            return
        one.drop()
        one.view, one.ids = new, []
        self.known[at] = self.not_owed_from_now_on(worker)
        one.connect(worker)
        one.take()
        assert one.resets == ["view-changed"]
        one.resets = []

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            lacked, backfill.FIRST_BLOCK_IDS, backfill.FEWEST_BLOCK_IDS = self.bounds
            backfill.BLOCK_LACKED = lacked
