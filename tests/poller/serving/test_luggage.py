"""Streams that move from one worker to another, over socket pairs: what each client gets.

Real pollers, logs, streams and sockets; the table is simulated, and both workers are in this
process. The protocol between processes has its own tests.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import msgspec
import pytest
from sqlalchemy.sql.elements import quoted_name

from poller.delivery.view import View
from poller.runtime import metrics
from poller.serving import client as client_module
from poller.serving import left, movable
from poller.serving.luggage import (
    FEED_CHANGED,
    FULL,
    VIEW_UNKNOWN,
    Luggage,
    Unfit,
    encoded,
    form_of,
)
from poller.serving.movable import MovableStreams
from poller.serving.tenure import Tenure
from tests.harness.greenlets import until
from tests.harness.moving import (
    MeteredSocket,
    MovingClient,
    MovingWorker,
    copy_of,
    end,
    move,
    worker_of,
)
from tests.harness.simulation import table_with
from tests.harness.wandering import AllRows, Changes, Wandering, WindowMover, Windows
from tests.harness.windows import SimulatedQuery

ROOM_1 = View.of({"room": [1]})
IN_ROW_1 = 98  # bytes after the beginning of a stream that gets all rows


class Scene:
    """A table of three rows, two workers that have polled it, and clients."""

    def __init__(self) -> None:
        self.table = table_with(3)
        self.workers: list[MovingWorker] = []
        self.clients: list[MovingClient] = []
        self.others: list[MovableStreams] = []

    def worker(self, **changes: object) -> MovingWorker:
        self.workers.append(worker_of(self.table, **changes))
        return self.workers[-1]

    def client(
        self, worker: MovingWorker, last_event_id: str | None = "0", **options: Any
    ) -> MovingClient:
        asked = {"admission": worker.admission, **options}
        self.clients.append(MovingClient(worker.streams, last_event_id, **asked))
        return self.clients[-1]

    def parked(self, worker: MovingWorker, **options: Any) -> MovingClient:
        """One that has the three rows."""
        client = self.client(worker, **options)
        until(lambda: not worker.streams._fanout.busy, "that it is parked")
        client.read()
        return client

    def halved(self, worker: MovingWorker, sent: int = IN_ROW_1, **options: Any) -> MovingClient:
        """One whose stream waits for it, so many bytes after its beginning."""
        client = self.client(worker, allowed=sent, **options)
        until(lambda: client.is_full, "that it waits")
        return client

    def authorized(self, worker: MovingWorker, tag: str, **options: Any) -> MovingClient:
        """One that was authorised long ago."""
        make = self.halved if options else self.parked
        client = make(worker, tenure=Tenure(tag=tag, asked_at=now()), **options)
        opened = worker.streams._open
        tenure = Tenure(tag=tag, asked_at=now() - 1000)
        opened[client.stream] = opened[client.stream]._replace(tenure=tenure)
        return client

    def insert(self, rows: int = 1) -> None:
        self.table.insert(rows)
        for worker in self.workers:
            worker.poll_until_quiet()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(movable, "OwnedSocket", MeteredSocket)
    scene = Scene()
    yield scene
    end([*(worker.streams for worker in scene.workers), *scene.others], scene.clients)


def wait_for(client: MovingClient, fact: Callable[[], object], what: str) -> None:
    """The client reads meanwhile."""

    def read_and_look() -> object:
        client.read()
        return fact()

    until(read_and_look, what)


def rows_come(client: MovingClient, *ids: int) -> None:
    wait_for(client, lambda: len(client.ids) >= len(ids), f"the rows {ids}")
    assert client.ids == [*ids]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_parked_stream_goes_on_at_the_other_worker(scene: Scene, chunked: bool) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, chunked=chunked)
    move(giver.streams, taker.streams)
    assert (len(giver.streams), len(taker.streams)) == (0, 1)
    scene.insert(2)
    rows_come(client, 1, 2, 3, 4, 5)
    assert client.kinds == ["start", *["message"] * 3, "live", *["message"] * 2]


def test_nobody_is_told_that_it_moved_and_the_books_are_right_at_both(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, address="192.0.2.7", tenure=Tenure(tag="ann", asked_at=now()))
    before = client.stream
    opened = metrics.streams_open.labels("test")._value.get()
    total = metrics.streams_total.labels("test")._value.get()
    resumes = resumes_counted()
    move(giver.streams, taker.streams)
    assert (giver.admission.taken, taker.admission.taken) == (0, 1)
    assert taker.admission.by_client == {"192.0.2.7": 1}
    assert (len(giver.streams._tenures), len(taker.streams._tenures)) == (0, 1)
    assert (giver.streams._listening, taker.streams._listening) == (0, 1)
    assert taker.firsts == 1
    assert (giver.streams.on_sockets, taker.streams.on_sockets) == (0, 1)
    (stream,) = taker.streams
    assert (stream.subscriber.rows, stream.sent_bytes) == (3, before.sent_bytes)
    assert metrics.streams_open.labels("test")._value.get() == opened
    assert metrics.streams_total.labels("test")._value.get() == total
    assert resumes_counted() == resumes
    assert client.kinds.count("start") == 1
    until(lambda: not giver.streams._fanout.running, "the end of the fanout there")


def now() -> float:
    return time.monotonic()


def resumes_counted() -> float:
    kinds = "log", "ring", "table"
    return float(sum(metrics.resumes.labels("test", kind)._value.get() for kind in kinds))


def test_what_came_while_it_was_out_is_sent_when_it_is_put_back(scene: Scene) -> None:
    worker = scene.worker()
    client = scene.parked(worker)
    ((stream, _),) = worker.streams.take_out(10)
    scene.insert()
    for _ in range(5):
        gevent.sleep(0)
    client.read()
    assert client.ids == [1, 2, 3]
    worker.streams.put_back([stream])
    rows_come(client, 1, 2, 3, 4)
    scene.insert()
    rows_come(client, 1, 2, 3, 4, 5)


def test_a_stream_is_given_out_once(scene: Scene) -> None:
    worker = scene.worker()
    for _ in range(5):
        scene.parked(worker)
    first, second = worker.streams.take_out(3), worker.streams.take_out(3)
    assert len({stream for stream, _ in first + second}) == len(first + second) == 5
    assert worker.streams.take_out(3) == []
    worker.streams.put_back([stream for stream, _ in first + second])


def test_a_batch_fits_into_one_message(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = scene.worker()
    for _ in range(5):
        scene.parked(worker)
    everything = worker.streams.take_out(9)
    size = len(msgspec.msgpack.encode(everything[0][1]))
    worker.streams.put_back([stream for stream, _ in everything])
    monkeypatch.setattr(movable, "BATCH_BYTES", 2 * size + 5)
    taken = worker.streams.take_out(9)
    assert len(taken) == 2
    monkeypatch.setattr(movable, "BATCH_BYTES", size // 2)
    assert worker.streams.take_out(9) == []  # what fits into no message stays
    worker.streams.put_back([stream for stream, _ in taken])


def test_an_end_while_it_is_out_waits_until_it_is_back(scene: Scene) -> None:
    worker = scene.worker()
    client = scene.parked(worker)
    ((stream, _),) = worker.streams.take_out(1)
    stream.end("over", b": farewell\n")
    worker.streams.cut()
    client.read()
    assert not client.at_end()
    assert len(worker.streams) == 1
    worker.streams.put_back([stream])
    until(client.at_end, "the end")
    assert client.ended_well
    assert len(worker.streams) == 0


def test_a_client_that_ends_while_its_stream_is_out_is_noticed_when_it_is_back(
    scene: Scene,
) -> None:
    worker = scene.worker()
    client = scene.parked(worker)
    ((stream, _),) = worker.streams.take_out(1)
    client.socket.close()
    for _ in range(5):
        gevent.sleep(0)
    assert len(worker.streams) == 1
    worker.streams.put_back([stream])
    until(lambda: not len(worker.streams), "its end")


def test_a_client_that_ends_on_the_way_is_noticed_at_the_other_worker(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver)
    client.socket.close()
    move(giver.streams, taker.streams)
    until(lambda: not len(taker.streams), "its end")


# -- the place ------------------------------------------------------------------------------


def test_a_worker_that_is_behind_sends_nothing_twice_and_no_reset(scene: Scene) -> None:
    """It has not polled as far: the client has rows that this worker has never seen."""
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver)
    scene.table.insert(4)
    giver.poll_until_quiet()
    rows_come(client, 1, 2, 3, 4, 5, 6, 7)
    move(giver.streams, taker.streams)
    for _ in range(5):
        gevent.sleep(0)
    for _ in range(3):
        taker.poll_until_quiet()
        gevent.sleep(0.01)
    scene.insert()
    rows_come(client, 1, 2, 3, 4, 5, 6, 7, 8)
    assert "reset" not in client.kinds


def test_a_worker_that_is_ahead_sends_what_is_lacking(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker(log_capacity_rows=2)
    client = scene.parked(giver)
    scene.table.insert(6)
    taker.poll_until_quiet()  # four of them have left its ring
    move(giver.streams, taker.streams)
    rows_come(client, *range(1, 10))


def test_a_late_row_comes_once_whichever_worker_knew_of_the_gap(scene: Scene) -> None:
    giver = scene.worker()
    late = scene.table.begin()
    scene.table.insert()
    giver.poll_until_quiet()
    client = scene.client(giver)
    rows_come(client, 1, 2, 3, 5)
    until(lambda: not giver.streams._fanout.busy, "that it is parked")
    taker = scene.worker()
    luggage = move(giver.streams, taker.streams)
    assert [one.holds for one in luggage] == ["5!1,1"]
    scene.table.commit(late)
    scene.insert()
    rows_come(client, 1, 2, 3, 5, 4, 6)


def test_gaps_travel_whole_where_no_token_has_room_for_them(scene: Scene) -> None:
    """A token would merge them, and rows between them would come again."""
    options = {"log_capacity_rows": 2000, "batch_rows": 2000}
    giver, taker = scene.worker(**options), scene.worker(**options)
    late = []
    for n in range(1000):
        late.append(scene.table.begin(1 + n * 37 % 64))
        scene.table.insert()
    for worker in scene.workers:
        worker.poll_until_quiet()
    client = scene.client(giver)
    wait_for(client, lambda: not giver.streams._fanout.busy, "that it is parked")
    client.read()
    assert sorted(client.ids) == sorted(scene.table.committed)
    assert "!" in client.parser.last_event_id[-12:]  # the mark of a set that has more
    taker.log._entries.clear()  # nobody there knows this set by its mark
    taker.log.held = taker.log.held.then([(3, 10)])
    (luggage,) = move(giver.streams, taker.streams)
    assert len(luggage.holds or "") > 1000
    scene.table.commit(late[-1])
    taker.poll_until_quiet()
    wait_for(client, lambda: len(client.ids) >= len(scene.table.committed), "all rows")
    assert sorted(client.ids) == sorted(scene.table.committed)
    assert "reset" not in client.kinds


def test_a_new_name_of_the_history_travels_not_the_one_of_its_ids(scene: Scene) -> None:
    """The other worker has started since, and knows no former name."""
    giver = scene.worker()
    client = scene.parked(giver)
    scene.table.version = "0002"  # the table was altered: the same history under another name
    giver.poll_until_quiet()
    taker = scene.worker()
    assert taker.log.epoch != client.parser.last_event_id.partition(".")[0]
    move(giver.streams, taker.streams)
    scene.insert()
    rows_come(client, 1, 2, 3, 4)
    assert "reset" not in client.kinds


def test_a_history_that_the_other_worker_does_not_have_is_a_reset(scene: Scene) -> None:
    giver = scene.worker()
    client = scene.parked(giver)
    scene.table.recreate()
    taker = scene.worker()
    move(giver.streams, taker.streams)
    for _ in range(3):
        taker.poll_until_quiet()
        gevent.sleep(0.01)
    wait_for(client, lambda: "reset" in client.kinds, "the reset")
    assert client.kinds.count("start") == 1


def test_one_whose_history_has_changed_is_told_so_before_it_moves(scene: Scene) -> None:
    giver = scene.worker()
    client = scene.parked(giver)
    scene.table.recreate()
    giver.poll_until_quiet()
    assert giver.streams.take_out(1) == []
    wait_for(client, lambda: "reset" in client.kinds, "the reset")
    taker = scene.worker()
    assert len(move(giver.streams, taker.streams)) == 1
    scene.insert()
    wait_for(client, lambda: client.ids[3:] == [1], "a row of the new history")


def test_one_that_waits_for_the_first_pass_begins_at_the_other_worker(scene: Scene) -> None:
    giver, taker = MovingWorker(scene.table), scene.worker()
    scene.workers.append(giver)
    giver.problem = "the table has not been read yet"
    client = scene.client(giver, "0")
    client.read()
    assert client.kinds == []
    move(giver.streams, taker.streams)
    rows_come(client, 1, 2, 3)
    assert client.kinds == ["start", *["message"] * 3, "live"]


def test_one_that_is_ahead_of_its_worker_moves_on(scene: Scene) -> None:
    """It waits here, twice: what it has travels on as it came."""
    ahead, behind, third = scene.worker(), scene.worker(), scene.worker()
    client = scene.parked(ahead)
    scene.table.insert(2)
    ahead.poll_until_quiet()
    rows_come(client, 1, 2, 3, 4, 5)
    (first,) = move(ahead.streams, behind.streams)
    (second,) = move(behind.streams, third.streams)
    assert (first.epoch, first.holds) == (second.epoch, second.holds)
    for _ in range(3):
        third.poll_until_quiet()
        gevent.sleep(0.01)
    scene.insert()
    rows_come(client, 1, 2, 3, 4, 5, 6)


def test_a_bound_on_what_may_be_asked_for_holds_where_a_stream_began_only(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker(replay=1)
    client = scene.parked(giver)
    scene.table.insert(3)
    taker.poll_until_quiet()
    move(giver.streams, taker.streams)
    rows_come(client, *range(1, 7))


def test_rows_of_other_views_count_as_delivered(scene: Scene) -> None:
    """What travels is the head, so the other worker has nothing to look for."""
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, view=ROOM_1)
    assert client.ids == [1]
    scene.insert(3)  # 4 is of this room
    rows_come(client, 1, 4)
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.holds == "6"
    assert luggage.view == ROOM_1
    scene.insert(1)
    rows_come(client, 1, 4, 7)


def test_a_heartbeat_is_due_when_it_was(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    scene.parked(giver)
    scene.insert()
    until(lambda: giver.streams._fanout._seq == 4, "the batch")
    stream = scene.clients[0].stream
    written_at = giver.streams._fanout.parked.written_at(stream)
    assert written_at > stream.written_at
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.written_at == written_at
    (there,) = taker.streams._fanout.parked.live
    assert there.slot is not None


def test_a_window_that_is_behind_sends_no_old_rows_back(scene: Scene) -> None:
    query = SimulatedQuery(4)
    query.rows = {1: (1, 0), 2: (2, 0)}
    giver, taker = WindowMover(query, 100), WindowMover(query, 100)
    scene.others += giver.streams, taker.streams
    client = MovingClient(giver.streams)
    scene.clients.append(client)
    wait_for(client, lambda: "live" in client.kinds, "its beginning")
    query.rows[1] = (1, 1)
    giver.poll()
    wait_for(client, lambda: client.kinds[-1] == "message", "the change")
    before = [*client.events]
    move(giver.streams, taker.streams)
    for look in (gevent.sleep, taker.poll):
        look()
        gevent.sleep(0.001)
        client.read()
        assert client.events == before
    query.rows[2] = (2, 1)
    taker.poll()
    wait_for(client, lambda: len(client.events) > len(before), "the next change")
    assert client.events[-1].json == {"id": 2, "sort": 2, "x": 1}


# -- busy streams ---------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [True, False])
def test_only_the_rest_of_the_current_frame_travels(scene: Scene, chunked: bool) -> None:
    """Its id is the place; what follows, the other worker has itself."""
    giver, taker = scene.worker(), scene.worker()
    client = scene.halved(giver, chunked=chunked)
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.holds == "1"
    assert luggage.rest.endswith(b"id: abcd.1\n\n")
    assert (luggage.rows, luggage.said_live) == (1, False)
    assert bool(luggage.owed) == chunked
    client.allow()
    rows_come(client, 1, 2, 3)
    wait_for(client, lambda: client.kinds[-1] == "live", "that it is told")
    assert client.kinds == ["start", *["message"] * 3, "live"]


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("sent", [0, 10, 19, 20, 30])
def test_a_head_that_is_half_written_travels_with_the_first_frame(
    scene: Scene, sent: int, chunked: bool
) -> None:
    giver, taker = scene.worker(), scene.worker()
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    client = scene.halved(giver, sent, head=head, chunked=chunked)
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.rest.startswith(head[sent:])
    client.allow()
    wait_for(client, lambda: "live" in client.kinds, "all rows")
    assert client.kinds == ["start", *["message"] * 3, "live"]


def test_the_head_is_no_part_of_what_is_written_later(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, head=b"HTTP/1.1 200 OK\r\n\r\n")
    client.allow(20, only=True)
    scene.insert(3)
    until(lambda: client.is_full, "that it waits")
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.holds == "4"
    client.allow()
    rows_come(client, *range(1, 7))


def test_a_body_that_ends_in_the_middle_of_a_chunk_ends_in_good_order(scene: Scene) -> None:
    """The chunk that was begun at the giver has to be filled."""
    giver, taker = scene.worker(), scene.worker()
    client = scene.halved(giver)
    move(giver.streams, taker.streams)
    (stream,) = taker.streams
    stream.end("over", b": farewell\n")
    client.allow()
    until(client.at_end, "the end")
    assert client.ended_well
    assert client.ids == [1]


def test_one_that_waits_for_its_client_stops_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next look at a full buffer would be minutes later, and it is not killed."""
    monkeypatch.setattr(client_module, "SEND_BUFFER_BYTES", 1)
    options = {"batch_rows": 1000, "write_deadline_s": 3600, "log_capacity_rows": 1000}
    giver, taker = scene.worker(**options), scene.worker(**options)
    scene.insert(700)
    client = scene.client(giver, "0")
    until(lambda: client.stream.client._waits, "that the buffer is full")
    giver.streams.loosen()
    until(lambda: giver.streams.settled, "that it has stopped")
    assert move(giver.streams, taker.streams)
    rows_come(client, *range(1, 704))


def test_what_was_loosened_and_not_taken_goes_on(scene: Scene) -> None:
    giver = scene.worker()
    client = scene.client(giver, "0", allowed=100)
    giver.streams.loosen()
    until(lambda: giver.streams.settled, "that it has stopped")
    client.allow()
    for _ in range(5):
        gevent.sleep(0)
    client.read()
    assert client.ids == []
    giver.streams.put_back([])
    rows_come(client, 1, 2, 3)
    assert giver.streams.settled  # there is nothing to write


def test_one_in_a_frame_that_fits_into_no_message_goes_on_and_moves_behind_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could take it, so its client would wait for as long as there is hope."""
    monkeypatch.setattr(left, "MOST_REST_BYTES", 20)
    giver, taker = scene.worker(), scene.worker()
    client = scene.halved(giver)
    giver.streams.loosen()
    for _ in range(5):
        gevent.sleep(0)
    assert giver.streams.take_out(5) == []
    client.allow()
    rows_come(client, 1, 2, 3)
    assert move(giver.streams, taker.streams)


def test_luggage_that_fits_into_no_message_stays_and_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    giver = scene.worker()
    client = scene.halved(giver)
    monkeypatch.setattr(movable, "BATCH_BYTES", 20)
    giver.streams.loosen()
    until(lambda: giver.streams.settled, "that it has stopped")
    client.allow()

    def given_or_read() -> object:
        assert giver.streams.take_out(5) == []
        return len(client.ids) == 3

    wait_for(client, given_or_read, "the rows")


def test_one_that_has_stopped_ends_if_it_is_to(scene: Scene) -> None:
    """Its frame is written first, and then its farewell."""
    giver = scene.worker()
    client = scene.halved(giver)
    giver.streams.loosen()
    until(lambda: giver.streams.settled, "that it has stopped")
    client.allow()
    giver.streams.drain(1)
    until(client.at_end, "the end")
    assert client.ended_well
    assert client.ids[:1] == [1]


def test_one_that_ends_is_not_taken(scene: Scene) -> None:
    giver = scene.worker()
    client = scene.halved(giver)
    giver.streams.drain(1)
    giver.streams.loosen()
    for _ in range(5):
        gevent.sleep(0)
    assert giver.streams.take_out(5) == []
    client.allow()
    until(client.at_end, "the end")
    assert client.ended_well


def test_one_that_catches_up_goes_on_catching_up(scene: Scene) -> None:
    """Stopped between two pages of the table."""
    giver, taker = scene.worker(log_capacity_rows=2), scene.worker(log_capacity_rows=2)
    scene.insert(30)
    client = scene.halved(giver, 400)
    (luggage,) = move(giver.streams, taker.streams)
    assert 1 <= int(luggage.holds or "") < 33
    client.allow()
    rows_come(client, *range(1, 34))


def test_a_set_that_no_id_of_its_frames_names_is_not_cut_in_the_middle_of_a_chunk(
    scene: Scene,
) -> None:
    """The frame's id says less than the client has: it goes on to the end of the chunk."""
    giver = scene.worker(log_capacity_rows=3, batch_rows=2000)
    for n in range(1000):
        scene.table.begin(1 + n * 37 % 64)
        scene.table.insert()
    giver.poll_until_quiet()
    client = scene.client(giver, "0", allowed=0)
    while client.parser.last_event_id.count("!") < 2:  # the mark of a set that has more
        client.allow(5000)
        wait_for(client, lambda: client.is_full, "that it waits")
    giver.streams.loosen()
    for _ in range(5):
        gevent.sleep(0)
    has_stopped: Callable[[], bool] = lambda: giver.streams.settled  # noqa: E731
    assert not has_stopped()
    assert giver.streams.take_out(1) == []
    while not has_stopped():
        client.allow(5000)
        wait_for(client, lambda: client.is_full or has_stopped(), "a step")
    assert len(giver.streams._fanout.busy.stopped[client.stream]) == 0


# -- what does not fit ----------------------------------------------------------------------


def test_what_a_worker_cannot_go_on_with_is_refused_and_nothing_has_happened(
    scene: Scene,
) -> None:
    giver = scene.worker()
    changed, full = scene.worker(form="other"), scene.worker(most=1)
    scene.parked(full)
    client = scene.parked(giver, view=ROOM_1)
    ((stream, luggage),) = giver.streams.take_out(1)
    unknown = msgspec.structs.replace(luggage, filter=(("colour", ("red",)),))
    for taker, one, reason in (
        (changed, luggage, FEED_CHANGED),
        (full, luggage, FULL),
        (giver, unknown, VIEW_UNKNOWN),
    ):
        before = len(taker.streams), taker.admission.taken, len([*taker.log.views])
        copy = copy_of(stream.client)
        with pytest.raises(Unfit, match=reason):
            taker.streams.adopt(copy, one)
        assert (len(taker.streams), taker.admission.taken, len([*taker.log.views])) == before
        copy.close()
    giver.streams.put_back([stream])
    scene.insert()
    rows_come(client, 1, 4)


def test_it_goes_past_the_cap_of_its_address(scene: Scene) -> None:
    """It has been let in once."""
    giver, taker = scene.worker(), scene.worker()
    for _ in range(3):
        scene.parked(giver, address="192.0.2.7")
    assert taker.admission.per_address == 2
    move(giver.streams, taker.streams)
    assert taker.admission.by_client == {"192.0.2.7": 3}


def test_what_another_version_would_send_is_not_read() -> None:
    packed = msgspec.msgpack.encode({"form": "", "new": 1})
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(packed, type=Luggage)


def test_values_of_all_types_travel(scene: Scene) -> None:
    asked = {"room": [1, None, -(2**60)], "owner": ["ann", True]}
    view = View.of(asked, ["id", "text"])  # type: ignore[arg-type]
    giver, taker = scene.worker(), scene.worker()
    scene.parked(giver, view=view)
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.view == view
    assert {one.subscriber.view.view for one in taker.streams} == {view}


def test_an_integer_that_no_row_has_stays(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    scene.parked(giver, view=View.of({"room": [10**30]}))
    assert move(giver.streams, taker.streams) == []
    assert len(giver.streams) == 1


def test_half_a_surrogate_pair_stays_and_keeps_nobody_else(scene: Scene) -> None:
    """As JSON may bring it into the name of a user, and so into a tag."""
    giver, taker = scene.worker(), scene.worker()
    scene.parked(giver, tenure=Tenure(tag="\ud800", asked_at=now()))
    scene.parked(giver)
    assert len(move(giver.streams, taker.streams)) == 1
    assert (len(giver.streams), len(taker.streams)) == (1, 1)


# -- how long it may stay -------------------------------------------------------------------


def test_a_tag_that_was_disconnected_meanwhile_ends_it(scene: Scene) -> None:
    """Here the giver did not hear of it any more."""
    giver, taker = scene.worker(), scene.worker()
    ann = scene.authorized(giver, "ann")
    bob = scene.authorized(giver, "bob")
    taken = giver.streams.take_out(2)
    copies = [copy_of(stream.client) for stream, _ in taken]
    taker.streams.disconnect("ann")
    giver.streams.gone([stream for stream, _ in taken])
    for (_, luggage), copy in zip(taken, copies, strict=True):
        taker.streams.adopt(copy, luggage)
    until(ann.at_end, "its end")
    assert ann.ended_well
    scene.insert()
    rows_come(bob, 1, 2, 3, 4)


def test_a_disconnect_ends_it_in_the_middle_of_a_frame_after_that_frame(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    ann = scene.authorized(giver, "ann", sent=IN_ROW_1)
    taker.streams.disconnect("ann")
    (luggage,) = move(giver.streams, taker.streams)
    assert luggage.rest
    ann.allow()
    until(ann.at_end, "its end")
    assert ann.ended_well
    assert ann.ids == [1]


def test_a_disconnect_while_it_is_out_ends_it_when_it_is_back(scene: Scene) -> None:
    giver = scene.worker()
    ann = scene.authorized(giver, "ann")
    ((stream, _),) = giver.streams.take_out(1)
    giver.streams.disconnect("ann")
    assert not ann.at_end()
    giver.streams.put_back([stream])
    until(ann.at_end, "its end")


def test_its_time_goes_on(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, tenure=Tenure(until=now() + 0.5, asked_at=now()))
    move(giver.streams, taker.streams)
    until(client.at_end, "its end")
    assert client.ended_well


# -- the descriptors ------------------------------------------------------------------------


@pytest.mark.skipif(gevent.get_hub().loop.backend != "epoll", reason="the loop has no epoll set")
def test_nothing_stays_in_the_epoll_set_of_the_giver(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    for _ in range(5):
        scene.parked(giver)
    taken = giver.streams.take_out(5)
    copies = [copy_of(stream.client) for stream, _ in taken]
    gevent.sleep(0.01)  # the loop has looked at its watchers
    held = {os.fstat(copy.fileno()).st_ino for copy in copies}
    giver.streams.gone([stream for stream, _ in taken])
    assert not held & watched_inodes()
    for (_, luggage), copy in zip(taken, copies, strict=True):
        taker.streams.adopt(copy, luggage)
    gevent.sleep(0.01)
    assert held <= watched_inodes()


def watched_inodes() -> set[int]:
    """Of what is in the epoll set of this process's loop."""
    told = Path(f"/proc/self/fdinfo/{gevent.get_hub().loop.fileno()}").read_text()
    return {int(one, 16) for one in re.findall(r"ino:([0-9a-f]+)", told)}


def test_the_connection_is_not_shut_down_and_does_not_block(scene: Scene) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver)
    old = client.stream.client._socket
    move(giver.streams, taker.streams)
    assert old.fileno() == -1
    assert not client.at_end()
    (there,) = taker.streams
    descriptor = there.client._socket.fileno()  # type: ignore[union-attr]
    assert not os.get_blocking(descriptor)
    assert there.client._socket.gettimeout() == 0  # type: ignore[union-attr]


# -- by chance ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Wandering, AllRows, Changes, Windows])
@pytest.mark.parametrize("seed", range(8))
def test_streams_that_move_at_any_moment_in_any_state(
    kind: type[Wandering], seed: int, scene: Scene
) -> None:
    """Every client gets every row once, in whole frames, under one coding."""
    kind(seed).run()


def test_a_name_of_a_databases_own_class_travels_as_a_text() -> None:
    """What SQLAlchemy read of a table is `quoted_name`, which messages do not know."""
    name = quoted_name("id", quote=None)
    assert form_of("log", [name], (name,), public=True) == form_of(
        "log", ["id"], ("id",), public=True
    )
    assert msgspec.msgpack.decode(encoded(Names(name))) == {"name": "id"}
    with pytest.raises(TypeError):
        encoded(Names(object()))


class Names(msgspec.Struct):
    name: object
