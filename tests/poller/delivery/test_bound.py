"""`replay=`: how far back a client may ask, whatever it sends, and what it never loses."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from poller.delivery.bound import held_before
from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.ids.ranges import ranges_of
from poller.wire import notices
from tests.harness.simulation import Client, SimulatedTable, Worker, table_with

ROWS, BOUND = 20, 4


def bounded_worker(table: SimulatedTable, bound: int | None = BOUND, **changes: object) -> Worker:
    """With room for what may be asked for, as a feed has it."""
    most = bound or 1
    worker = Worker(table, history_rows=most, log_capacity_rows=most, **changes)
    worker.replay = bound
    worker.poll_until_quiet()
    return worker


def token(*held: int) -> str:
    return f"abcd.{Named.of(Cursor().retire(ranges_of(sorted(held)))).token()}"


def read(worker: Worker, last_event_id: str | None) -> Client:
    client = Client(last_event_id)
    client.read(worker)
    return client


def test_from_the_beginning_is_from_the_bound() -> None:
    worker = bounded_worker(table_with(ROWS))
    assert read(worker, "0").ids == [17, 18, 19, 20]
    answer = worker.request("0").answer()
    assert [json.loads(row)["id"] for row in answer.rows] == [17, 18, 19, 20]
    assert not answer.reset


@pytest.mark.parametrize(
    "asks",
    [token(1), token(*range(1, 16)), token(20), token(1, 20), token(*range(11, 21)), "abcd.0",
     token(*range(1, 3), *range(4, 21)), token(*range(1, 16), *range(17, 21))],
)  # fmt: skip
def test_older_rows_are_not_read_however_they_are_asked_for(asks: str) -> None:
    worker = bounded_worker(table_with(ROWS))
    before = len(worker.source.reads_of_pages)
    client = read(worker, asks)
    assert (client.ids, client.resets) == ([], [notices.BEYOND_REPLAY])
    answer = worker.request(asks).answer()
    assert (answer.rows, answer.reset) == ([], notices.BEYOND_REPLAY)
    assert len(worker.source.reads_of_pages) == before, "nor is the table asked"


def test_a_client_within_the_bound_goes_on() -> None:
    worker = bounded_worker(table_with(ROWS))
    assert read(worker, token(*range(1, 17))).ids == [17, 18, 19, 20]
    assert read(worker, token(*range(1, 19), 20)).ids == [19]
    assert read(worker, token(*range(1, 21))).ids == []


def test_after_the_reset_the_stream_goes_on_from_now() -> None:
    table = table_with(ROWS)
    worker = bounded_worker(table)
    client = read(worker, token(1))
    table.insert(2)
    worker.poll_until_quiet()
    client.read(worker)
    assert (client.ids, client.resets) == ([21, 22], [notices.BEYOND_REPLAY])


def test_with_a_bound_of_none_only_what_comes_is_sent() -> None:
    table = table_with(ROWS)
    worker = bounded_worker(table, 0)
    client = read(worker, "0")
    assert client.ids == []
    table.insert()
    worker.poll_until_quiet()
    client.connect(worker)
    client.take()
    table.insert()
    worker.poll_until_quiet()
    client.take()
    client.drop()
    assert (client.ids, client.resets) == ([22], [notices.BEYOND_REPLAY])


def test_a_row_that_commits_late_is_among_the_newest() -> None:
    """Its id is far below; who was connected in between has its gap, and gets it."""
    table = table_with(ROWS)
    late = table.begin()
    worker = bounded_worker(table)
    client = read(worker, None)
    table.insert(3)
    worker.poll_until_quiet()
    client.read(worker)
    table.commit(late)
    worker.poll_until_quiet()
    client.read(worker)
    assert (client.ids, client.resets) == ([22, 23, 24, 21], [])


def test_without_a_bound_everything_may_be_read() -> None:
    assert read(bounded_worker(table_with(ROWS), None), "0").ids == [*range(1, ROWS + 1)]


class Reader:
    """A client, and what it has to have in the end: all that comes after its last reset."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.before: Cursor | None = None  # what it does not have to have

    def read(self, worker: Worker) -> None:
        known = len(self.client.resets)
        first = self.before is None
        if first:
            self.before = worker.log.cursor
        self.client.read(worker)
        if len(self.client.resets) > known:
            assert {*self.client.resets} == {notices.BEYOND_REPLAY}
            self.before = worker.log.cursor
            self.client.ids.clear()


def step(table: SimulatedTable, chance: random.Random) -> None:
    """Something happens in the table."""
    open_now = [*table.open]
    match chance.randrange(4):
        case 0:
            table.begin(chance.randint(1, 3))
        case 1 if open_now:
            table.commit(chance.choice(open_now))
        case 2 if open_now:
            table.roll_back(chance.choice(open_now))
        case _:
            table.insert(chance.randint(1, 3))


@given(st.randoms(use_true_random=False), st.integers(0, 6))
@hypothesis_settings(max_examples=100, deadline=None)
def test_a_client_loses_nothing_without_a_reset_and_gets_nothing_older(
    chance: random.Random, bound: int
) -> None:
    table = table_with(chance.randrange(12))
    workers = [bounded_worker(table, bound) for _ in range(2)]
    readers = [Reader(Client()) for _ in range(3)]
    for reader in readers:
        reader.read(workers[0])
    for _ in range(chance.randrange(25)):
        step(table, chance)
        chance.choice(workers).poller.poll()
        if chance.random() < 0.5:
            chance.choice(readers).read(chance.choice(workers))
        else:
            ask_as_a_stranger(chance.choice(workers), table, chance)
    for transaction in [*table.open]:
        table.commit(transaction)
    for worker in workers:
        worker.poll_until_quiet()
    for reader in readers:
        reader.read(workers[1])
        assert reader.before is not None
        wanted = [one for one in sorted(table.committed) if one not in reader.before]
        assert sorted(reader.client.ids) == wanted


def ask_as_a_stranger(worker: Worker, table: SimulatedTable, chance: random.Random) -> None:
    """Whatever it makes up, it gets some of the newest rows, or none."""
    if not worker.log.ready:
        return
    made_up = [one for one in range(1, table.last_id + 1) if chance.random() < chance.random()]
    asks = chance.choice(["0", token(*made_up)])
    newest = worker.log.entries(worker.log.oldest, worker.log.head)
    may_have = {one.row_id for one in newest[len(newest) - min(len(newest), worker.replay or 0) :]}
    assert {*read(worker, asks).ids} <= may_have


def test_the_set_before_the_newest_rows_is_that_of_the_row_before_them() -> None:
    worker = bounded_worker(table_with(ROWS))
    assert [held_before(worker.log, rows).position for rows in range(6)] == [20, 19, 18, 17, 16, 16]
