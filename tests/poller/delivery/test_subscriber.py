"""One stream: what it brings, whatever its client held, wherever it comes from.

Real poller, log and delivery; the table is simulated, so that every interleaving can be had.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import gevent
import pytest
from hypothesis import settings as hypothesis_settings

from poller.delivery import page, place, replay, subscriber
from poller.delivery.subscriber import Subscriber
from poller.polling import loop
from poller.reading.dialects.sqlite import SingleWriter
from poller.wire import event_id, notices, sse
from tests.harness.interleaving import AnyInterleaving
from tests.harness.little_room import little_room
from tests.harness.simulation import (
    SILENCE,
    Client,
    SimulatedTable,
    Worker,
    table_with,
    worker_with,
)


def greeting(position: int, *, resumed: bool = False) -> bytes:
    """How a stream begins: each frame with an id has data, or some clients keep no id."""
    start = {True: b"true", False: b"false"}[resumed], position
    return b'event: start\ndata: {"feed":"test","resumed":%b}\nid: abcd.%d\n\n' % start


def live(position: int) -> bytes:
    return b"event: live\ndata: {}\nid: abcd.%d\n\n" % position


def test_a_stream_begins_with_retry_start_and_live() -> None:
    stream = iter(worker_with(table_with(5)).open_stream())
    assert next(stream) == b"retry: 2000\n"
    assert next(stream) == greeting(5) + live(5)
    assert next(stream) == SILENCE


def test_live_is_said_once_and_after_the_rows_that_were_lacking() -> None:
    table = table_with(3)
    worker = worker_with(table)
    stream = iter(worker.open_stream("abcd.1"))
    sent = [next(stream) for _ in range(4)]
    assert sent[1] == greeting(1, resumed=True)
    assert sent[2].count(b'data: {"id"') == 2
    assert sent[3] == live(3)
    table.insert()
    worker.poll_until_quiet()
    assert b"event: live" not in next(stream) + next(stream)


def test_live_is_said_to_a_client_above_the_newest_row_that_is_left() -> None:
    table = table_with(10)
    for row_id in (8, 9, 10):
        del table.committed[row_id]
    stream = iter(worker_with(table).open_stream("abcd.10"))
    assert [next(stream) for _ in range(3)][1:] == [greeting(10, resumed=True), live(10)]


def test_live_is_said_after_a_page_without_rows() -> None:
    table = table_with(9)
    worker = worker_with(table, history_rows=0)
    del table.committed[9]
    stream = iter(worker.open_stream("abcd.8"))
    assert [next(stream) for _ in range(3)][1:] == [greeting(8, resumed=True), live(9)]


def test_a_reset_is_not_held_back_by_a_page_without_rows() -> None:
    """The ids restart while the page is read, and the ring is empty before and after."""
    table = table_with(9)
    worker = worker_with(table, history_rows=0)
    del table.committed[9]
    read_page = worker.source.page

    def restarted_meanwhile(*arguments: Any) -> Any:
        page = read_page(*arguments)
        if worker.log.generation == 1:
            table.recreate(table.history)
            worker.poll_until_quiet()
        return page

    worker.backfill._read_page = restarted_meanwhile
    stream = iter(worker.open_stream("abcd.8"))
    sent = b"".join(next(stream) for _ in range(3))
    assert b"event: reset" in sent


def test_a_reset_that_overtakes_a_replay_comes_before_anything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others have their turn while rows of the ring are framed: the poller, too."""
    table = table_with(9)
    worker = worker_with(table, log_capacity_rows=100)

    def recreated_meanwhile(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if worker.log.generation == 1:
                table.recreate()
                table.insert(2)
                worker.poll_until_quiet()
            yield item

    monkeypatch.setattr(replay, "in_slices", recreated_meanwhile)
    stream = iter(worker.open_stream("abcd.3!1,1"))
    sent = b"".join(next(stream) for _ in range(3))
    before, reset, _ = sent.partition(b"event: reset")
    assert reset
    assert b"event: live" not in before
    assert b'"id":' not in before


def test_a_feed_that_is_not_ready_says_why_each_reason_once() -> None:
    worker = Worker(table_with(1))
    worker.problem = "there is no table alarms"
    stream = iter(worker.open_stream())
    assert [next(stream), next(stream)] == [
        b"retry: 2000\n",
        b": waiting: there is no table alarms\n",
    ]
    worker.problem = "the database is away"
    worker.log.notify()
    assert next(stream) == b": waiting: the database is away\n"
    worker.problem = ""
    worker.poll_until_quiet()
    assert next(stream) == greeting(1) + live(1)


def test_a_heartbeat_of_a_feed_in_trouble_says_so() -> None:
    worker = worker_with(table_with(1))
    stream = iter(worker.open_stream())
    assert [next(stream) for _ in range(3)][2] == SILENCE
    worker.problem = "the database is away"
    assert next(stream) == b": waiting: the database is away\n"


def test_silence_is_a_comment_line() -> None:
    stream = iter(worker_with(table_with(0)).open_stream())
    assert [next(stream) for _ in range(3)][2] == SILENCE


def test_a_stream_from_now_brings_what_comes_and_not_what_was() -> None:
    table = table_with(2)
    worker = worker_with(table)
    stream = iter(worker.open_stream())
    assert next(stream) + next(stream) == b"retry: 2000\n" + greeting(2) + live(2)
    table.insert()
    worker.poll_until_quiet()
    assert next(stream) == b'data: {"id":3,"text":"row 3"}\nid: abcd.3\n\n'


def test_history_is_not_sent_as_news_before_the_first_complete_pass() -> None:
    worker = Worker(table_with(5))
    assert worker.poller.poll() == 0.0  # a batch of two: cut off
    stream = iter(worker.open_stream())
    assert [next(stream), next(stream)] == [b"retry: 2000\n", SILENCE]
    worker.poll_until_quiet()
    assert next(stream) == greeting(5) + live(5)


def test_from_the_beginning_brings_the_whole_table_in_order() -> None:
    worker, client = worker_with(table_with(25)), Client("0")
    client.read(worker)
    assert client.ids == list(range(1, 26))
    assert client.last_event_id == "abcd.25"


def test_deleted_rows_leave_no_gap_in_the_ids_of_a_backfill() -> None:
    table = table_with(9)
    for row_id in (1, 4, 5):
        del table.committed[row_id]
    client = Client("0")
    client.read(worker_with(table), chunks=3)
    assert client.ids == [2, 3]
    assert client.last_event_id == "abcd.3"


def test_a_late_commit_is_delivered_though_its_id_is_lower() -> None:
    table = table_with(3)
    worker = worker_with(table)
    late = table.begin()
    table.insert()
    client = Client("abcd.3")
    worker.poll_until_quiet()
    client.read(worker)
    assert (client.ids, client.last_event_id) == ([5], "abcd.5!1,1")
    table.commit(late)
    worker.poll_until_quiet()
    client.read(worker)
    assert (client.ids, client.last_event_id) == ([5, 4], "abcd.5")


def test_an_open_transaction_elsewhere_delays_nobody() -> None:
    table = table_with(1)
    table.begin()
    table.insert(20)
    worker, client = worker_with(table), Client("abcd.1")
    client.read(worker)
    assert client.ids == list(range(3, 23))


def test_a_client_ahead_of_a_lagging_worker_gets_only_what_it_lacks() -> None:
    table = table_with(4)
    late, *others = [table.begin() for _ in range(4)]
    lagging, quick = worker_with(table, log_capacity_rows=100), worker_with(table)
    for transaction in others:
        table.commit(transaction)
    quick.poll_until_quiet()
    client = Client("abcd.4")
    client.read(quick)
    assert (client.ids, client.last_event_id) == ([6, 7, 8], "abcd.8!3,1")
    client.connect(lagging)
    client.take()
    assert client.ids == [6, 7, 8]
    table.commit(late)
    table.insert()
    lagging.poll_until_quiet()
    client.take()
    assert (client.ids, client.last_event_id) == ([6, 7, 8, 5, 9], "abcd.9")


def test_a_replay_in_several_steps_leaves_out_what_the_client_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "REPLAY_ENTRIES", 2)
    client = Client("abcd.10!1,8")
    client.read(worker_with(table_with(10), log_capacity_rows=100))
    assert client.ids == [2, 3, 4, 5, 6, 7, 8, 9]


def test_a_replay_over_ids_that_never_came_needs_no_gaps() -> None:
    """After deletes or upserts every other id is missing: tokens stay short, no row comes twice."""
    table = SimulatedTable()
    worker = Worker(table, log_capacity_rows=10_000, batch_rows=500)
    worker.source.fence = SingleWriter()
    for _ in range(1000):
        table.roll_back(table.begin())
        table.insert()
    worker.poll_until_quiet()
    assert {entry.held.cursor.gaps for entry in worker.log.entries(0, 1000)} == {()}
    client = Client("abcd.3")
    client.connect(worker)
    client.take(3, cut=1000)
    assert client.last_event_id is not None
    assert len(client.last_event_id) < 20
    client.read(worker)
    assert client.ids == list(range(4, 2001, 2))


def test_a_chunk_holds_no_more_than_its_bound_and_one_row() -> None:
    table = table_with(400)
    for row_id in table.committed:
        table.committed[row_id] = "x" * 10_000
    worker = worker_with(table, batch_rows=500, log_capacity_rows=100)
    stream = iter(worker.open_stream("0"))
    sizes = []
    while (chunk := next(stream)) != SILENCE:
        sizes.append(len(chunk))
    assert sum(sizes) > 4_000_000
    assert max(sizes) < page.PAGE_BYTES + 2 * 10_000


def restarted_worker(table: SimulatedTable, **changes: object) -> Worker:
    """One that begins near the newest row, while transactions are open that are older."""
    return worker_with(table, history_rows=1, log_capacity_rows=100, **changes)


def test_a_gap_older_than_the_worker_is_filled_by_its_commit() -> None:
    table = table_with(3)
    late = table.begin()
    table.insert()
    client = Client("abcd.3")
    client.read(worker_with(table))
    assert (client.ids, client.last_event_id) == ([5], "abcd.5!1,1")
    table.roll_back(table.begin())
    table.insert(4)
    worker = restarted_worker(table)
    assert worker.log.floor == 4
    client.connect(worker)
    client.take()
    assert client.ids == [5, 7, 8, 9, 10]
    assert client.last_event_id is not None
    assert 4 not in event_id.parse_last_event_id(client.last_event_id).cursor  # type: ignore[union-attr]
    table.commit(late)
    worker.poll_until_quiet()
    client.take()
    assert worker.log.floor == 0
    assert (client.ids, client.last_event_id) == ([5, 7, 8, 9, 10, 4], "abcd.10!4,1")


def test_a_row_below_the_floor_does_not_wait_for_other_old_transactions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "FLOOR_ASKED_EVERY_S", 0.0)
    table = table_with(3)
    late, other = table.begin(), table.begin()
    table.insert()
    table.roll_back(table.begin())
    table.insert(4)
    worker, client = restarted_worker(table), Client("abcd.3")
    assert worker.log.floor == 5
    client.connect(worker)
    client.take()
    assert client.ids == [6, 8, 9, 10, 11]
    table.commit(late)
    worker.poll_until_quiet()
    client.take()
    assert (client.ids[5:], worker.log.floor) == ([4], 5)
    table.commit(other)
    worker.poll_until_quiet()
    client.take()
    assert (client.ids[6:], worker.log.floor) == ([5], 0)
    assert client.last_event_id == "abcd.11!4,1"  # the worker has not proved that one dead


def test_the_table_is_asked_about_ids_below_the_floor_every_second_and_not_at_every_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = table_with(3)
    table.begin()
    table.insert()
    table.roll_back(table.begin())
    table.insert(4)
    monkeypatch.setattr(loop, "FLOOR_ASKED_EVERY_S", float("inf"))
    worker, client = restarted_worker(table), Client("abcd.3")
    client.connect(worker)
    client.take()
    asked = len(worker.source.reads_of_pages)
    for _ in range(3):
        worker.poll_until_quiet()
        client.take()
    assert len(worker.source.reads_of_pages) == asked
    monkeypatch.setattr(loop, "FLOOR_ASKED_EVERY_S", 0.0)
    for _ in range(3):
        worker.poll_until_quiet()
        client.take()
    assert len(worker.source.reads_of_pages) == asked + 3


def test_unknown_ids_below_the_floor_stay_open_in_the_cursor() -> None:
    table = table_with(3)
    late = table.begin()
    table.insert(2)
    table.roll_back(table.begin())
    table.insert(4)
    worker, client = restarted_worker(table), Client("abcd.2")
    client.connect(worker)
    client.take()
    assert client.ids == [3, 5, 6, 8, 9, 10, 11]
    table.commit(late)
    worker.poll_until_quiet()
    client.take()
    assert (client.ids[-1], client.last_event_id) == (4, "abcd.11!4,1")


def test_too_many_doubts_about_old_ids_are_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "DOUBTS", 2)
    table = table_with(1)
    for _ in range(5):
        table.begin()
        table.insert()
    client = Client("abcd.1")
    client.read(restarted_worker(table))
    assert client.resets == [notices.NOT_PROVEN]
    assert client.last_event_id is not None
    assert client.last_event_id.startswith("abcd.11")


def test_a_client_too_slow_for_the_ring_reads_from_the_table() -> None:
    table = table_with(1)
    worker, client = worker_with(table), Client()
    client.connect(worker)
    client.take()
    for _ in range(5):
        table.insert(2)
        worker.poll_until_quiet()
    client.take()
    assert client.ids == list(range(2, 12))


@pytest.mark.parametrize(
    ("last_event_id", "reason"),
    [("reload", notices.MALFORMED_ID), ("9" * 3000, notices.MALFORMED_ID)],
)
def test_an_id_that_cannot_be_used_gets_a_reset_then_goes_on_from_now(
    last_event_id: str, reason: str
) -> None:
    table = table_with(4)
    worker = worker_with(table)
    stream = iter(worker.open_stream(last_event_id))
    next(stream)
    # Dropped before the reset, the client is to get it again: `start` has no id here.
    start = b'event: start\ndata: {"feed":"test","resumed":false}\n\n'
    expected = b'event: reset\ndata: {"reason":"%b"}\nid: abcd.4\n\n' % reason.encode()
    assert next(stream) == start + expected + live(4)
    table.insert()
    worker.poll_until_quiet()
    assert b'"id":5' in next(stream)


def test_the_new_version_of_a_table_is_known_before_the_next_poll() -> None:
    """Another worker was quicker, and gave it to the client."""
    table = table_with(4)
    lagging = worker_with(table)
    table.version = "01"
    client = Client("abcd01.2")
    client.connect(lagging)
    client.take()
    assert (client.ids, client.resets) == ([], [])
    lagging.poll_until_quiet()
    client.take()
    assert (client.ids, client.resets) == ([3, 4], [])


@pytest.mark.parametrize(
    ("last_event_id", "reason"),
    [("abcd.99", notices.AHEAD_OF_TABLE), ("ffff.3", notices.UNKNOWN_HISTORY)],
)
def test_an_id_from_the_future_is_reset_once_the_table_was_read(
    last_event_id: str, reason: str
) -> None:
    worker = worker_with(table_with(4))
    stream = iter(worker.open_stream(last_event_id))
    assert [next(stream), next(stream)] == [b"retry: 2000\n", SILENCE]
    worker.poll_until_quiet()
    assert next(stream) == SILENCE  # that pass may have begun before the client came
    worker.poll_until_quiet()
    assert reason.encode() in next(stream)


def test_a_recreated_table_resets_open_streams_before_any_further_row() -> None:
    table = table_with(4)
    worker = worker_with(table)
    stream = iter(worker.open_stream())
    assert b"abcd.4" in next(stream) + next(stream)
    table.recreate()
    table.insert(2)
    worker.poll_until_quiet()
    assert b"event: reset" in (frame := next(stream))
    assert frame.endswith(b"}\nid: ef01.2\n\n")
    assert b"event: start" not in frame
    table.insert()
    worker.poll_until_quiet()
    assert next(stream).endswith(b"id: ef01.3\n\n")


def test_ids_that_restart_reset_the_streams() -> None:
    table = table_with(4)
    worker = worker_with(table)
    table.recreate(table.history)
    worker.poll_until_quiet()
    stream = iter(worker.open_stream("abcd.4"))
    next(stream)
    assert next(stream) == SILENCE
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    assert b"event: reset" in next(stream)


def test_a_backfill_goes_on_when_the_database_is_back() -> None:
    worker, client = worker_with(table_with(9)), Client()
    worker.source.fail = OSError("away")
    stream = iter(worker.open_stream("0"))
    assert next(stream) + next(stream) == b"retry: 2000\n" + greeting(0, resumed=True)
    assert next(stream) == sse.HEARTBEAT
    worker.source.fail = None
    client.last_event_id = "0"
    client.read(worker)
    assert client.ids == list(range(1, 10))


def test_a_row_that_comes_between_the_look_and_the_wait_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = table_with(1)
    worker = worker_with(table, heartbeat_s=30.0)
    stream = iter(worker.open_stream())
    assert next(stream) + next(stream) == b"retry: 2000\n" + greeting(1) + live(1)
    look = Subscriber.next_chunk

    def look_then_a_row_comes(subscriber: Subscriber) -> bytes:
        found = look(subscriber)
        if not found and table.last_id == 1:
            table.insert()
            worker.poll_until_quiet()
        return found

    monkeypatch.setattr(Subscriber, "next_chunk", look_then_a_row_comes)
    with gevent.Timeout(60):
        assert b'"id":2' in next(stream)


def test_a_closed_stream_ends_with_its_farewell() -> None:
    stream = worker_with(table_with(1)).open_stream()
    chunks = iter(stream)
    assert next(chunks) + next(chunks) == b"retry: 2000\n" + greeting(1) + live(1)
    stream.end("drain", sse.retry_line(1234))
    stream.end("too late", sse.retry_line(1))
    assert list(chunks) == [b"retry: 1234\n"]
    assert stream.closed_because == "drain"


def test_an_ended_stream_leaves_nothing_attached_to_the_log() -> None:
    worker = worker_with(table_with(1))
    stream = iter(worker.open_stream())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert worker.log._listeners == set()


# -- tokens without room for all gaps -------------------------------------------------------


def gaps_at(table: SimulatedTable, worker: Worker, count: int) -> list[int]:
    """So many transactions, each overtaken by a row."""
    pending = []
    for _ in range(count):
        pending.append(table.begin())
        table.insert()
    worker.poll_until_quiet()
    return pending


@pytest.mark.parametrize("rows_after", [0, 2])
def test_a_client_that_comes_back_with_a_merged_token_is_sent_nothing_twice(
    rows_after: int,
) -> None:
    with little_room(24):
        table = table_with(1)
        worker, client = worker_with(table, log_capacity_rows=100, batch_rows=500), Client()
        client.connect(worker)
        client.take()
        pending = gaps_at(table, worker, 40)
        client.take()
        client.drop()
        said = event_id.parse_last_event_id(client.last_event_id)
        assert said is not None
        assert said.mark == worker.log.held.mark
        assert worker.log.cursor.difference(said.cursor)  # it says less than the client has
        table.insert(rows_after)
        table.commit(pending[7])
        worker.poll_until_quiet()
        client.read(worker)
        assert sorted(client.ids) == sorted({*table.committed} - {1})


def test_two_sets_that_are_merged_to_the_same_are_not_taken_for_one() -> None:
    """What one worker has and the other lacks is hidden by the merging."""
    with little_room(24):
        table = table_with(1)
        lagging = worker_with(table, log_capacity_rows=100, batch_rows=500)
        quick = worker_with(table, log_capacity_rows=100, batch_rows=500)
        client = Client()
        client.connect(quick)
        client.take()
        pending = gaps_at(table, lagging, 40)
        quick.poll_until_quiet()
        hull = max(lagging.log.held.gaps, key=lambda one: one[1] - one[0])
        inside = next(t for t in pending if hull[0] < table.open[t][0] < hull[1])
        late = table.open[inside][0]
        table.commit(inside)
        quick.poll_until_quiet()
        assert quick.log.held.gaps == lagging.log.held.gaps
        client.take()
        assert late in client.ids
        other = Client()
        other.connect(lagging)
        other.take()
        other.read(quick)
        assert other.ids == [late]


@pytest.mark.parametrize("rows", [300, 600])
def test_clients_that_hold_the_same_have_their_rows_framed_once(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=2_000, batch_rows=500)
    gaps_at(table, worker, rows - 1)
    replayed: list[int] = []

    def noted(*arguments: Any) -> Any:
        replayed.append(1)
        return replay.replay(*arguments)

    monkeypatch.setattr(place, "replay", noted)
    clients = [Client("abcd.3!1,1") for _ in range(10)]
    for client in clients:
        client.read(worker)
    assert all(len(client.ids) == rows for client in clients)
    assert len(replayed) == -(-rows // place.REPLAY_ENTRIES)


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = hypothesis_settings(
    max_examples=200, stateful_step_count=40, deadline=None
)


class LittleRoom(AnyInterleaving):
    """With tokens that name less: rows may come twice, and none may be missed."""

    repeats = True

    def __init__(self) -> None:
        super().__init__()
        self.room = little_room(24)
        self.room.__enter__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.room.__exit__(None, None, None)


TestLittleRoom = LittleRoom.TestCase
TestLittleRoom.settings = hypothesis_settings(
    max_examples=50, stateful_step_count=30, deadline=None
)
