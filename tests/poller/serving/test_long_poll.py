"""Requests for rows: what each answers, when, and that all of them together walk each row once."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from unittest import mock

import gevent
import pytest
from hypothesis import settings as hypothesis_settings

from poller.delivery import subscriber
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range, contains
from poller.serving import long_poll
from poller.serving.client import CLIENT_GONE, ClientSocket
from poller.serving.long_poll import ANSWERED, Answer, LongPoll
from poller.wire import notices
from poller.wire.row import Row
from tests.harness.greenlets import until
from tests.harness.interleaving import AnyInterleaving
from tests.harness.simulation import RowsClient, SimulatedTable, Worker, table_with, worker_with

LONG_S = 600.0
OF_THE_HARNESS = 30.0


@pytest.fixture(autouse=True)
def nobody_settles() -> Iterator[None]:
    with mock.patch.object(long_poll, "SETTLE_S", 0.0):
        yield


def ids(answer: Answer) -> list[int]:
    return [json.loads(row)["id"] for row in answer.rows]


@contextmanager
def waiting(request: LongPoll, worker: Worker) -> Iterator["gevent.Greenlet[..., Answer]"]:
    """The request is under way, and has found nothing to answer yet."""
    before = len(worker.log.views.everything.listeners)
    greenlet = gevent.spawn(request.answer)
    until(lambda: len(worker.log.views.everything.listeners) > before, "that it waits")
    for _ in range(5):
        gevent.sleep(0)
    assert not greenlet.ready()
    yield greenlet
    with gevent.Timeout(OF_THE_HARNESS):
        greenlet.get()


def test_a_request_without_a_token_is_told_where_now_is() -> None:
    answer = worker_with(table_with(5)).request(None).answer()
    assert answer == Answer([], "abcd.5", live=True)


def test_a_request_brings_the_rows_after_its_token_in_order() -> None:
    answer = worker_with(table_with(5)).request("abcd.2").answer()
    assert (ids(answer), answer.next, answer.live) == ([3, 4, 5], "abcd.5", True)
    assert json.loads(answer.rows[0]) == {"id": 3, "text": "row 3"}


@pytest.mark.parametrize("after", ["0", "abcd.0"])
def test_a_walk_from_the_beginning_is_live_at_its_end(after: str) -> None:
    worker = worker_with(table_with(9), history_rows=2)
    seen: list[int] = []
    lives = []
    while True:
        answer = worker.request(after, limit=4).answer()
        seen, after = seen + ids(answer), answer.next
        lives.append(answer.live)
        if answer.live:
            break
    assert seen == [*range(1, 10)]
    assert lives == [False, False, True]


def test_an_answer_ends_at_its_limit_wherever_the_log_is_cut() -> None:
    worker = worker_with(table_with(9), log_capacity_rows=100)
    answer = worker.request("abcd.3", limit=2).answer()
    assert (ids(answer), answer.next) == ([4, 5], "abcd.5")
    assert answer.full
    assert not answer.live


def test_an_answer_ends_with_the_row_that_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "ANSWER_BYTES", 40)  # a row has 25
    answer = worker_with(table_with(9)).request("abcd.0").answer()
    assert (ids(answer), answer.next, answer.full) == ([1, 2], "abcd.2", True)


def test_the_same_page_is_the_same_from_every_worker_at_any_time() -> None:
    table = table_with(20)
    one, other = worker_with(table, history_rows=3), worker_with(table, log_capacity_rows=100)
    before = [worker.request("abcd.4", limit=6).answer() for worker in (one, other)]
    table.insert(5)
    one.poll_until_quiet()
    assert before == [one.request("abcd.4", limit=6).answer()] * 2


def test_tokens_of_those_who_follow_become_one() -> None:
    """A worker proved an id dead; who was told before, learns it with the next row."""
    table = table_with(3)
    burnt = table.begin()
    table.insert()
    worker = worker_with(table)
    table.roll_back(burnt)
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    early, late = "abcd.5!1,1", worker.request(None).answer().next
    assert late == "abcd.5"
    table.insert()
    worker.poll_until_quiet()
    answers = [worker.request(after).answer() for after in (early, late)]
    assert answers == [Answer([b'{"id":6,"text":"row 6"}'], "abcd.6", live=True)] * 2


def test_a_row_that_could_only_be_named_is_told_apart() -> None:
    worker = worker_with(table_with(1))
    with mock.patch.object(SimulatedTable, "rows_in", _with_one_unreadable):
        worker.poller.poll()
    answer = worker.request("abcd.1").answer()
    assert [json.loads(one) for one in answer.rows] == [
        {"_unreadable": {"id": 2, "reason": "it is cursed"}}
    ]
    assert answer.next == "abcd.2"


def _with_one_unreadable(_: object, ranges: Sequence[Range], *__: object) -> list[Row]:
    return [Row(2, None, "it is cursed")] if contains(ranges, 2) else []


# -- waiting ------------------------------------------------------------------------------------


def test_a_request_that_waits_is_answered_when_a_row_comes() -> None:
    table = table_with(2)
    worker = worker_with(table)
    with waiting(worker.request("abcd.2", wait_s=LONG_S), worker) as answered:
        table.insert()
        worker.poll_until_quiet()
    answer = answered.get()
    assert (ids(answer), answer.next, answer.live) == ([3], "abcd.3", True)


def test_a_request_that_waits_is_answered_when_its_time_is_over() -> None:
    answer = worker_with(table_with(2)).request("abcd.2", wait_s=0.01).answer()
    assert answer == Answer([], "abcd.2", live=True)


def test_only_a_request_that_waits_wants_the_table_polled() -> None:
    table = table_with(2)
    worker = worker_with(table)
    for after in (None, "abcd.1", "abcd.2"):
        worker.request(after).answer()
    worker.request("abcd.1", wait_s=LONG_S).answer()
    assert worker.waits == []
    with waiting(worker.request("abcd.2", wait_s=LONG_S), worker):
        worker.log.notify()
        gevent.sleep(0)
        assert worker.waits == ["abcd.2"]
        table.insert()
        worker.poll_until_quiet()


def test_rows_that_the_client_has_do_not_end_its_waiting() -> None:
    """It is ahead of a worker that lags behind."""
    table = table_with(2)
    worker = worker_with(table)
    table.insert(2)
    quick = worker_with(table)
    worker.log.passed(4)
    with waiting(worker.request("abcd.4", wait_s=LONG_S), worker) as answered:
        worker.poll_until_quiet()
        gevent.sleep(0.01)
        assert not answered.ready()
        table.insert()
        worker.poll_until_quiet()
    assert ids(answered.get()) == [5]
    assert quick.request("abcd.2").answer().next == "abcd.4"


def test_a_client_of_another_worker_that_nobody_can_place_yet_keeps_its_token() -> None:
    worker = worker_with(table_with(2))
    answer = worker.request("abcd.4").answer()
    assert answer == Answer()


def test_a_request_that_waits_is_answered_at_a_drain() -> None:
    worker = worker_with(table_with(2))
    request = worker.request("abcd.2", wait_s=LONG_S)
    with waiting(request, worker) as answered:
        request.end("drain", b"retry: 1000\n")
    assert answered.get() == Answer([], "abcd.2", live=True)
    assert request.closed_because == "drain"


def test_a_request_ends_with_its_client() -> None:
    worker = worker_with(table_with(2))
    ours, theirs = socket.socketpair()
    request = worker.request("abcd.2", wait_s=LONG_S, client=ClientSocket(ours))
    with ours, waiting(request, worker):
        theirs.close()
    assert request.closed_because == CLIENT_GONE
    assert worker.log.listened_to == set()


def test_a_request_that_follows_on_the_connection_stays_unread() -> None:
    table = table_with(2)
    worker = worker_with(table)
    ours, theirs = socket.socketpair()
    request = worker.request("abcd.2", wait_s=LONG_S, client=ClientSocket(ours))
    with ours, theirs, waiting(request, worker):
        theirs.sendall(b"GET /next")
        until(lambda: request._client._watcher is None, "that it was seen")
        table.insert()
        worker.poll_until_quiet()
        assert ours.recv(100) == b"GET /next"
    assert request.closed_because == ANSWERED


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("nonsense", notices.MALFORMED_ID),
        ("beef.1", notices.UNKNOWN_HISTORY),
        ("abcd.3", notices.AHEAD_OF_TABLE),
    ],
)
def test_a_token_that_cannot_be_used_is_a_reset(after: str, reason: str) -> None:
    table = table_with(2)
    worker = worker_with(table)
    request = worker.request(after, wait_s=LONG_S)
    answered = gevent.spawn(request.answer)

    def polled() -> bool:
        worker.poller.poll()
        return answered.ready()

    until(polled, "an answer once the table was read again")
    answer = answered.get()
    assert (answer.reset, answer.next, answer.rows) == (reason, "abcd.2", [])


def test_a_table_that_is_recreated_resets_a_request_that_waits() -> None:
    table = table_with(2)
    worker = worker_with(table)
    with waiting(worker.request("abcd.2", wait_s=LONG_S), worker) as answered:
        table.recreate()
        table.insert()
        worker.poll_until_quiet()
    answer = answered.get()
    assert (answer.reset, answer.next) == (notices.HISTORY_CHANGED, "ef01.1")
    assert worker.request("abcd.2").answer() == Answer()  # in doubt until the table was read again


def test_a_feed_that_is_not_ready_says_why() -> None:
    worker = Worker(table_with(2))
    worker.problem = "the table has not been read yet"
    assert worker.request("0").answer().problem == worker.problem


def test_a_table_that_cannot_be_read_is_told_unless_there_are_rows() -> None:
    worker = worker_with(table_with(6))
    worker.source.fail = OSError("away")
    assert worker.request("abcd.0").answer().problem == long_poll.TABLE_AWAY
    answer = worker.request("abcd.4").answer()  # of the ring
    assert (ids(answer), answer.problem) == ([5, 6], "")


def test_a_table_that_is_away_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "BACKFILL_RETRY_S", (0.001, 0.001))
    worker = worker_with(table_with(6))
    worker.source.fail = OSError("away")
    answered = gevent.spawn(worker.request("abcd.0", wait_s=LONG_S).answer)
    until(lambda: not worker.backfill._queries.under_way and not answered.ready(), "a try")
    worker.source.fail = None
    with gevent.Timeout(OF_THE_HARNESS):
        assert ids(answered.get()) == [*range(1, 7)]


def test_cursor_of_the_answer_is_what_the_client_holds() -> None:
    table = table_with(2)
    late = table.begin()
    table.insert()
    worker = worker_with(table)
    answer = worker.request("abcd.2").answer()
    assert (ids(answer), answer.next) == ([4], "abcd." + Cursor.at(4, [(3, 3)]).token())
    table.commit(late)
    worker.poll_until_quiet()
    after = worker.request(answer.next).answer()
    assert (ids(after), after.next) == ([3], "abcd.4")


def begin_or_end_a_transaction(table: SimulatedTable, chosen: Random) -> None:
    if len(table.open) < 4 and chosen.random() < 0.6:
        table.begin(chosen.randint(1, 3))
    elif table.open:
        end = table.commit if chosen.random() < 0.7 else table.roll_back
        end(chosen.choice(sorted(table.open)))


@pytest.mark.parametrize("seed", range(60))
def test_walks_under_late_commits_bring_each_row_once(seed: int) -> None:
    """Two workers, one of which reads the table for nearly everything; answers that are lost; and a
    cache in front of both that keeps full answers for ever."""
    chosen, table = Random(seed), table_with(3)
    workers = [worker_with(table), worker_with(table, log_capacity_rows=100)]
    RowsClient.cache.clear()
    clients = [RowsClient("abcd.0") for _ in range(3)]
    for _ in range(150):
        step = chosen.random()
        if step < 0.4:
            begin_or_end_a_transaction(table, chosen)
        elif step < 0.7:
            chosen.choice(workers).poller.poll()
        else:
            client = chosen.choice(clients)
            client.connect(chosen.choice(workers))
            client.take(1, cut=0 if chosen.random() < 0.2 else None)
    for transaction in [*table.open]:
        table.commit(transaction)
    for worker in workers:
        worker.poll_until_quiet()
        worker.poll_until_quiet()
    assert RowsClient.cache
    for client in clients:
        client.connect(chosen.choice(workers))
        client.take()
        assert sorted(client.ids) == sorted(table.committed)
        assert client.resets == []


class RowsInAnyInterleaving(AnyInterleaving):
    """By requests, with a cache in front of both workers that keeps full answers for ever."""

    client_of_a_kind = RowsClient

    def __init__(self) -> None:
        super().__init__()
        RowsClient.cache.clear()
        self._no_time = mock.patch.object(long_poll, "SETTLE_S", 0.0)
        self._no_time.start()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._no_time.stop()


TestRowsInAnyInterleaving = RowsInAnyInterleaving.TestCase
TestRowsInAnyInterleaving.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
