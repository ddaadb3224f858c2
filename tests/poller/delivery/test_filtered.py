"""Streams with a filter: what they are sent, where they stand, and what that costs others."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from poller.delivery import backfill
from poller.delivery.backfill import Backfill
from poller.delivery.entry import Entry
from poller.delivery.event_log import EventLog
from poller.delivery.page import Page
from poller.delivery.subscriber import Subscriber
from poller.delivery.view import ALL, View
from poller.ids.cursor import Cursor
from poller.ids.named import Change, Named
from poller.ids.ranges import Range
from poller.wire import event_id
from poller.wire.exact import NO_VALUE
from tests.harness.simulation import (
    FILTERS,
    SILENCE,
    Client,
    SimulatedTable,
    Worker,
    table_with,
    worker_with,
)

ROOM = View.of({"room": [1]})
NOBODYS = View.of({"owner": ["nobody"]})
EPOCH = "abcd"


def rows_of(table: SimulatedTable, view: View, low: int = 0) -> list[int]:
    return sorted(row_id for row_id in table.in_view(view) if row_id > low)


def subscribed(worker: Worker, view: View, last_event_id: str | None = None) -> Subscriber:
    signal = Event()
    one = worker._subscriber(last_event_id, signal, gevent.sleep, view)
    assert b"event: start" in one.next_chunk()
    return one


def ids(chunk: bytes) -> list[int]:
    lines = chunk.decode().split("\n")
    return [json.loads(line[6:])["id"] for line in lines if line.startswith('data: {"id"')]


# -- where a stream stands ----------------------------------------------------------------------


def test_a_stream_that_gets_nothing_stays_live_while_the_ring_is_turned_over() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=3)
    one = subscribed(worker, NOBODYS)
    for _ in range(10):
        table.insert(5)
        worker.poll_until_quiet()
        assert one.is_live
        assert one.next_chunk() == b""
    assert worker.pages == []


def test_a_row_that_left_the_ring_before_anybody_looked_is_read_from_the_table() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=3)
    one = subscribed(worker, ROOM)
    table.insert(20)
    worker.poll_until_quiet()
    assert not one.is_live
    sent = b""
    while chunk := one.next_chunk():
        sent += chunk
    assert ids(sent) == rows_of(table, ROOM, 3)
    assert one.is_live


def test_what_is_told_in_place_of_a_heartbeat_is_where_to_go_on() -> None:
    """And nothing is sent again there, nor read, at whatever worker knows the place."""
    table = table_with(3)
    workers = [worker_with(table, log_capacity_rows=100) for _ in range(2)]
    client = Client(view=NOBODYS)
    client.connect(workers[0])
    client.take()
    before = client.last_event_id
    table.insert(5)
    for worker in workers:
        worker.poll_until_quiet()
    client.take()
    assert client.positions == 1
    assert client.last_event_id == f"{EPOCH}.{NOBODYS.tag}.8" != before
    client.take()
    assert client.positions == 1  # it stands where its last id says
    client.read(workers[1])
    assert client.ids == []
    assert workers[1].pages == []


def test_a_row_that_came_is_sent_before_any_position() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=100)
    one = subscribed(worker, ROOM)
    table.insert(4)
    worker.poll_until_quiet()
    assert one.position() == b""
    assert ids(one.next_chunk()) == rows_of(table, ROOM, 3) == [4, 7]
    assert one.position() == b""  # 7 was the last of all


def test_streams_without_a_filter_are_told_no_position() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=100)
    one = subscribed(worker, ALL)
    assert one.position() == b""
    table.insert()
    worker.poll_until_quiet()
    assert one.position() == b""
    assert ids(one.next_chunk()) == [4]
    assert one.position() == b""


def test_a_position_is_the_same_text_for_all_and_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=100)
    views = [View.of({"owner": [f"nobody {at}"]}) for at in range(5)]
    streams = [subscribed(worker, view) for view in views]
    table.insert()
    worker.poll_until_quiet()
    made: list[Named] = []
    whole = Named.token

    def noted(self: Named) -> str:
        made.append(self)
        return whole(self)

    monkeypatch.setattr(Named, "token", noted)
    told = [one.position() for one in streams]
    assert told == [
        b"event: position\ndata: {}\nid: abcd.%b.4\n\n" % view.tag.encode() for view in views
    ]
    assert len(made) == 1


def test_all_streams_of_a_view_get_the_same_bytes_joined_once() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=100)
    early, late = subscribed(worker, ROOM), subscribed(worker, ROOM)
    table.insert(2)
    worker.poll_until_quiet()
    early.next_chunk()
    table.insert(5)
    worker.poll_until_quiet()
    early.position()
    table.insert(5)
    worker.poll_until_quiet()
    third = subscribed(worker, ROOM, f"{EPOCH}.{ROOM.tag}.9")
    assert early.next_chunk() is not None
    assert ids(late.next_chunk()) == rows_of(table, ROOM, 3)
    assert ids(third.next_chunk()) == rows_of(table, ROOM, 9)
    at = worker.log.open(ROOM)
    assert worker.log.take(11, 10**6, at) is worker.log.take(12, 10**6, at)


def test_a_batch_is_not_for_a_stream_that_lacks_what_came_before() -> None:
    table = table_with(3)
    worker = worker_with(table, log_capacity_rows=100)
    one = subscribed(worker, ROOM)
    before = worker.log.head
    table.insert(10)
    worker.poll_until_quiet()
    rows = worker.log.rows(one.view, before, 100)
    assert len(rows) > 2
    late = worker.log.batch(one.view, rows[1:], rows[1][0], 10**6)
    assert (late.since, late.seq) == (rows[0][0] + 1, rows[1][0])
    assert not one.advance(late)
    assert one.advance(worker.log.batch(one.view, rows[:1], rows[0][0], 10**6))
    assert one.advance(late)
    assert not one.advance(late)
    assert one.rows == len(rows)


# -- another view -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ROOM, View.of({"room": [1, 2]})),
        (View.of({"room": [1, 2]}), ROOM),
        (ROOM, ALL),
        (ALL, ROOM),
        (ALL, View.of({}, ["id"])),
        (ROOM, View.of({"room": [1]}, ["id"])),
    ],
)
def test_who_comes_back_with_another_view_begins_again(before: View, after: View) -> None:
    table = table_with(10)
    worker = worker_with(table, log_capacity_rows=100)
    client = Client("0", before)
    client.read(worker)
    assert sorted(client.ids) == rows_of(table, before)
    client.view, client.ids = after, []
    client.read(worker)
    assert (client.resets, client.ids) == (["view-changed"], [])
    table.insert(6)
    worker.poll_until_quiet()
    client.read(worker)
    assert client.ids == rows_of(table, after, 10)
    assert client.resets == ["view-changed"]


def test_the_beginning_is_the_same_in_every_view() -> None:
    table = table_with(10)
    worker = worker_with(table, log_capacity_rows=3)
    client = Client("0", ROOM)
    client.read(worker)
    assert (client.ids, client.resets) == (rows_of(table, ROOM), [])


# -- rows ---------------------------------------------------------------------------------------


def test_columns_that_are_not_shown_go_out_by_no_way() -> None:
    """From the ring, joined and replayed, and from the table, in blocks and by queries."""
    view, hidden = View.of({"room": [1]}, ["id"]), View.of({}, ["id"])
    for one, lacked in ((view, 10), (view, 0), (hidden, 10)):
        table = table_with(10)
        worker = worker_with(table, log_capacity_rows=3, batch_rows=100)
        with block_lacked(lacked):
            chunks, sent = iter(worker.open_stream("0", one)), b""
            for rows in (0, 5, 2):  # none, more than the ring holds, fewer
                table.insert(rows)
                worker.poll_until_quiet()
                while (chunk := next(chunks)) != SILENCE:
                    sent += chunk
        assert sorted(ids(sent)) == rows_of(table, one)
        assert b"row" not in sent
        assert b"text" not in sent


def test_a_row_that_could_not_be_read_is_for_those_without_a_filter() -> None:
    assert NO_VALUE not in {one for view in (ROOM, NOBODYS) for key in view.keys for one in key}
    table = table_with(0)
    worker = worker_with(table, log_capacity_rows=100)
    one, other = subscribed(worker, ALL), subscribed(worker, View.of({"room": [None]}))
    lines = b'event: unreadable\ndata: {"id":1,"reason":"x"}\n'
    change = Change(worker.log.held, worker.log.held.then([(1, 1)]))
    frame = event_id.frame(EPOCH, change.after, lines)
    values = (NO_VALUE,) * len(FILTERS)
    entry = Entry(1, change, 1, change.after.mark, frame, len(lines), values)
    worker.log.extend([entry], change.after)
    assert one.next_chunk() == frame
    assert other.next_chunk() == b""


# -- backfill -----------------------------------------------------------------------------------


@contextmanager
def block_lacked(ids_: int) -> Iterator[None]:
    usual, backfill.BLOCK_LACKED = backfill.BLOCK_LACKED, ids_
    try:
        yield
    finally:
        backfill.BLOCK_LACKED = usual


def pages_of(worker: Worker, view: View, top: int) -> tuple[list[int], list[Page]]:
    found: list[int] = []
    pages: list[Page] = []
    left: tuple[Range, ...] = ((1, top),)
    known = lambda low, high: ((max(low, 1), min(high, top)),)  # noqa: E731
    while left:
        page = worker.backfill.page(left, (1, 0), view=view, known=known)
        pages.append(page)
        found += [row_id for row_id, _ in page.rows]
        left = ((page.upto + 1, top),) if page.upto < top else ()
    return found, pages


def test_a_full_page_that_python_empties_is_not_the_end() -> None:
    """The database takes Ann for ann, as MariaDB does."""
    table = table_with(60)
    worker = worker_with(table, batch_rows=2)
    view = View.of({"owner": ["ann"], "room": [1]})
    assert 0 < len(table.in_view(view)) < len(table.in_view(View.of({"room": [1]})))
    with block_lacked(0):
        found, _ = pages_of(worker, view, 60)
    assert found == rows_of(table, view)


def test_many_views_share_the_blocks_that_they_pick_from() -> None:
    table = table_with(500)
    worker = worker_with(table, log_capacity_rows=3)
    views = [View.of({"room": [at % 4], "owner": ["ann", f"user {at}"]}) for at in range(50)]
    clients = [Client(f"{EPOCH}.{view.tag}.{at}", view) for at, view in enumerate(views)]
    for client in clients:
        client.connect(worker)
    gevent.joinall([gevent.spawn(client.take) for client in clients], raise_error=True)
    assert len(worker.pages) <= 2
    for at, client in enumerate(clients):
        assert client.ids == rows_of(table, client.view, at)
        client.drop()


def test_who_lacks_much_has_a_query_of_its_own() -> None:
    table = table_with(500)
    worker = worker_with(table, batch_rows=1000)
    with block_lacked(499):
        found, _ = pages_of(worker, ROOM, 500)
        assert found == rows_of(table, ROOM)
        assert worker.pages[0] == ROOM.filter
        other = worker_with(table)
        assert pages_of(other, ROOM, 499)[0] == [one for one in found if one < 500]
        assert other.pages == [{}]


def test_while_there_is_a_floor_all_rows_are_read_whatever_is_lacking() -> None:
    """A row of another view is an answer, too: it need not be waited for."""
    table = SimulatedTable()
    table.insert(3)
    late = table.begin()
    table.insert(2)
    table.roll_back(table.begin())
    table.insert(9)
    worker = worker_with(table, history_rows=1, batch_rows=500)
    assert worker.log.floor
    with block_lacked(0):
        one = subscribed(worker, NOBODYS, f"{EPOCH}.{NOBODYS.tag}.2")
        while one.next_chunk():
            pass
        assert one._place.waits_for == ((4, 4),)
        table.commit(late)
        client = Client(f"{EPOCH}.{ROOM.tag}.2", ROOM)
        client.connect(worker)
        client.take()
        worker.poll_until_quiet()
        client.take()
        client.drop()
    assert sorted(client.ids) == rows_of(table, ROOM, 2)


def test_ids_that_leave_the_ring_while_it_catches_up_are_not_read_if_they_are_not_its_own() -> None:
    table = table_with(50)
    worker = worker_with(table, log_capacity_rows=3, batch_rows=500)
    asked: list[tuple[int, int]] = []
    page = Backfill.page

    def noted(self: Backfill, ranges: tuple[Range, ...], *others: object) -> Page:
        asked.append((ranges[0][0], ranges[-1][1]))
        found = page(self, ranges, *others)  # type: ignore[arg-type]
        table.insert(20)
        worker.poll_until_quiet()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backfill, "page", noted)
        one = subscribed(worker, NOBODYS, f"{EPOCH}.{NOBODYS.tag}.10")
        while one.next_chunk():
            pass
    assert asked == [(11, 47)]
    assert one.is_live


# -- waking -------------------------------------------------------------------------------------


def log_of_rooms() -> EventLog:
    log = EventLog(100, 10**6, ["room"])
    log.begin(EPOCH, Named.of(Cursor.at(0)))
    log.passed(0)
    return log


def add(log: EventLog, room: int, floor: int = 0) -> None:
    row_id = log.held.position + 1
    change = Change(log.held, log.held.then([(row_id, row_id)]))
    lines = b"data: x\n"
    frame = event_id.frame(EPOCH, change.after, lines)
    entry = Entry(row_id, change, 1, change.after.mark, frame, len(lines), (room,))
    log.extend([entry], change.after, floor)


def test_a_listener_is_woken_by_rows_of_its_view_and_by_what_concerns_all() -> None:
    log, (mine, anybodys) = log_of_rooms(), (Event(), Event())
    room = log.open(ROOM)
    log.attach(mine, room)
    log.attach(anybodys)

    def woken() -> tuple[bool, bool]:
        found = mine.is_set(), anybodys.is_set()
        mine.clear()
        anybodys.clear()
        return found

    add(log, 2)
    assert woken() == (False, True)
    add(log, 1)
    assert woken() == (True, True)
    add(log, 2, floor=1)
    assert woken() == (True, True)
    log.ask_below_floor()
    assert woken() == (True, True)
    log.detach(mine, room)
    add(log, 1, floor=1)
    assert woken() == (False, True)
    assert not log.listened_to
