"""Rows that change: of each the newest state, and never one that is older than a client had.

Real poller, log and delivery; the table is simulated, so that every interleaving can be had.
"""

from __future__ import annotations

import gevent
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from poller.delivery import place as delivery
from tests.harness.changing import ChangingTable, ChangingWorker, MapClient, State, changing_worker

KEYS = st.integers(1, 4)


def table_of(*keys: int) -> ChangingTable:
    table = ChangingTable()
    table.set(*keys)
    return table


def drain(worker: ChangingWorker, client: MapClient) -> None:
    """Read to the end, with what the worker has to find out for it."""
    client.connect(worker)
    for _ in range(3):
        client.take()
        worker.poll_until_quiet()
    client.take()


def ring(worker: ChangingWorker) -> list[bytes]:
    return [entry.frame for entry in worker.log.entries(worker.log.oldest, 100)]


def test_a_state_that_was_replaced_has_no_frame_any_more() -> None:
    table = table_of(1, 2)
    worker = changing_worker(table, log_capacity_rows=100)
    table.set(1)
    worker.poll_until_quiet()
    first, second, third = ring(worker)
    assert first == b""
    assert b'"version":2' in second
    assert b'"version":3' in third


def test_a_row_that_was_deleted_is_not_sent_from_the_ring() -> None:
    table = table_of(1, 2)
    worker = changing_worker(table, log_capacity_rows=100)
    table.set(1, deletes=True)
    worker.poll_until_quiet()
    client = MapClient(table)
    drain(worker, client)
    assert client.rows == {1: State(3, deleted=True), 2: State(2)}
    assert client.bodies == 2


def test_a_live_stream_gets_each_state() -> None:
    table = table_of(1)
    worker = changing_worker(table)
    client = MapClient(table)
    client.connect(worker)
    for version in (2, 3, 4):
        client.take()
        assert client.rows == {1: State(version - 1)}
        table.set(1)
        worker.poll_until_quiet()


def test_bytes_of_the_ring_are_those_of_the_frames_that_are_left() -> None:
    table = table_of(*range(1, 9))
    worker = changing_worker(table, log_capacity_rows=100)
    for _ in range(3):
        table.set(*range(1, 9))
        worker.poll_until_quiet()
    held = worker.log.entries(worker.log.oldest, 100)
    assert len([one for one in held if one.frame]) == 8
    assert worker.log.size_bytes == sum(one.size_bytes for one in held)


def test_keys_are_forgotten_with_their_rows() -> None:
    table = ChangingTable()
    worker = changing_worker(table, log_capacity_rows=3, batch_rows=100)
    for first in range(1, 5000, 100):
        table.set(*range(first, first + 100))
        worker.poll_until_quiet()
    assert len(worker.log._newest) <= 3 + 1000  # type: ignore[attr-defined]


def ahead(table: ChangingTable, *, of: ChangingWorker, by: ChangingWorker) -> MapClient:
    """A client of `by` that has seen row 1 in a state which `of` has not read yet, and never in
    the one that `of` has: a gap that may still fill, for all that its id says."""
    holder = table.begin()
    assert table.change(holder, 3)
    table.set(1)  # seen by `of` alone
    of.poll_until_quiet()
    table.set(1)
    client = MapClient(table)
    drain(by, client)
    assert client.rows[1] == State(5)
    table.roll_back(holder)
    return client


def test_a_client_that_is_ahead_of_a_worker_gets_nothing_older() -> None:
    table = table_of(1, 2)
    slow = changing_worker(table, log_capacity_rows=100)
    quick = changing_worker(table, log_capacity_rows=100)
    client = ahead(table, of=slow, by=quick)
    client.connect(slow)
    client.take()
    assert client.rows[1] == State(5), "it waits: nobody knows yet what this worker's row is worth"
    for _ in range(2):
        slow.poll_until_quiet()
        client.take()
    assert client.rows == {1: State(5), 2: State(2)}
    assert client.resets == []


def test_a_pass_that_was_under_way_does_not_count_for_who_came_meanwhile() -> None:
    table = table_of(1, 2)
    slow = changing_worker(table, log_capacity_rows=100)
    quick = changing_worker(table, log_capacity_rows=100)
    client = ahead(table, of=slow, by=quick)
    other = MapClient(table, client.last_event_id)
    other.rows = dict(client.rows)
    other.connect(slow)
    other.take()

    def comes_between() -> None:
        client.connect(slow)
        client.take()

    slow.source.between = comes_between  # type: ignore[attr-defined]
    slow.poller.poll()
    client.take()
    drain(slow, client)
    drain(slow, other)
    assert client.rows == other.rows == {1: State(5), 2: State(2)}


def test_a_page_that_was_kept_is_not_for_who_has_seen_more() -> None:
    table = table_of(1, 2, 3, 4)
    slow = changing_worker(table, log_capacity_rows=1)
    quick = changing_worker(table, log_capacity_rows=100)
    first = MapClient(table)
    drain(slow, first)  # pages 1 to 3, which are kept
    holder = table.begin()
    assert table.change(holder, 5)
    table.set(1)
    client = MapClient(table)
    drain(quick, client)
    table.roll_back(holder)
    assert client.rows[1] == State(6)
    drain(slow, client)
    assert client.rows[1] == State(6)


class AnyChanges(RuleBasedStateMachine):
    """Writers, three workers and clients that are dropped at any byte and come back to any."""

    @initialize()
    def begin(self) -> None:
        self.replay_entries, delivery.REPLAY_ENTRIES = delivery.REPLAY_ENTRIES, 2
        self.table = table_of(1, 2, 3)
        self.workers = [changing_worker(self.table, log_capacity_rows=rows) for rows in (2, 4, 100)]
        self.clients: list[MapClient] = []

    @rule()
    def transaction_begins(self) -> None:
        if len(self.table.open) < 4:
            self.table.begin()

    @rule(which=st.integers(0, 3), key=KEYS, deletes=st.booleans())
    def row_changes(self, which: int, key: int, *, deletes: bool) -> None:
        if self.table.open:
            transaction = sorted(self.table.open)[which % len(self.table.open)]
            self.table.change(transaction, key, deletes=deletes)

    @rule(which=st.integers(0, 3), commits=st.booleans())
    def transaction_ends(self, which: int, *, commits: bool) -> None:
        if self.table.open:
            transaction = sorted(self.table.open)[which % len(self.table.open)]
            (self.table.commit if commits else self.table.roll_back)(transaction)

    @rule(key=KEYS, deletes=st.booleans())
    def row_changes_at_once(self, key: int, *, deletes: bool) -> None:
        transaction = self.table.begin()
        if self.table.change(transaction, key, deletes=deletes):
            self.table.commit(transaction)
        else:
            self.table.roll_back(transaction)

    @rule(which=st.integers(0, 2), until_quiet=st.booleans())
    def worker_polls(self, which: int, *, until_quiet: bool) -> None:
        worker = self.workers[which]
        worker.poll_until_quiet() if until_quiet else worker.poller.poll()

    @rule(which=st.integers(0, 2), ends=st.integers(0, 3), key=KEYS, client=st.integers(0, 9))
    def worker_polls_while_a_transaction_ends(
        self, which: int, ends: int, key: int, client: int
    ) -> None:
        """Between the fence's look and the read, and somebody learns of it from another worker."""

        def between() -> None:
            self.transaction_ends(ends, commits=True)
            self.row_changes_at_once(key, deletes=False)
            other = (which + 1) % 3
            self.worker_polls(other, until_quiet=True)
            self.client_comes_back(client, other)
            self.client_reads(client, 3, None)
            self.client_comes_back(client, which)
            self.client_reads(client, 1, None)

        self.workers[which].source.between = between  # type: ignore[attr-defined]
        self.workers[which].poller.poll()
        self.workers[which].source.between = None  # type: ignore[attr-defined]

    @rule(which=st.integers(0, 2))
    def worker_restarts(self, which: int) -> None:
        for client in self.clients:
            if client.connected_to is self.workers[which]:
                client.drop()
        rows = (2, 4, 100)[which]
        self.workers[which] = changing_worker(self.table, history_rows=2, log_capacity_rows=rows)

    @rule(which=st.integers(0, 2))
    def client_comes(self, which: int) -> None:
        if len(self.clients) < 4:
            self.clients.append(MapClient(self.table))
            self.clients[-1].connect(self.workers[which])

    @rule(client=st.integers(0, 9), which=st.integers(0, 2))
    def client_comes_back(self, client: int, which: int) -> None:
        if self.clients:
            self.clients[client % len(self.clients)].connect(self.workers[which])

    @rule(client=st.integers(0, 9), chunks=st.integers(1, 6), cut=st.none() | st.integers(0, 80))
    def client_reads(self, client: int, chunks: int, cut: int | None) -> None:
        if self.clients:
            self.clients[client % len(self.clients)].take(chunks, cut=cut)

    @rule(which=st.integers(0, 2), chunks=st.integers(1, 6), key=KEYS)
    def storm(self, which: int, chunks: int, key: int) -> None:
        """All come back to one worker and read at once, while it polls and rows change."""
        for client in self.clients:
            client.connect(self.workers[which])
        reading = [gevent.spawn(client.take, chunks) for client in self.clients]
        gevent.sleep(0)
        self.row_changes_at_once(key, deletes=False)
        self.workers[which].poll_until_quiet()
        gevent.joinall(reading, timeout=60, raise_error=True)
        assert all(one.ready() for one in reading)

    @invariant()
    def nobody_is_reset(self) -> None:
        assert all(client.resets == [] for client in getattr(self, "clients", ()))

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            self.everybody_has_the_table()
        finally:
            for client in self.clients:
                client.drop()
            delivery.REPLAY_ENTRIES = self.replay_entries

    def everybody_has_the_table(self) -> None:
        for transaction in [*self.table.open]:
            self.table.commit(transaction)
        for worker in self.workers:
            worker.poll_until_quiet()
            worker.poll_until_quiet()
        for number, client in enumerate(self.clients):
            drain(self.workers[number % 3], client)
            for key, state in self.table.states.items():
                seen = client.rows.get(key)
                gone = state.deleted and seen is not None and seen.deleted
                assert gone or seen == state, (
                    f"row {key} of client {number}: {client.rows}, {self.table.states}, "
                    f"{client.last_event_id} of {self.workers[number % 3].log.held.token()}"
                )


TestAnyChanges = AnyChanges.TestCase
TestAnyChanges.settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
