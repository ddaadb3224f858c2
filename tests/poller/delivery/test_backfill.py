"""Backfill: few queries for many who lack the same rows, and never an answer that is too old."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from poller.delivery import backfill, page
from poller.delivery.backfill import (
    QUERIES_AT_ONCE,
    QUESTION_RANGES,
    Backfill,
    OtherHistory,
    Unwanted,
)
from poller.delivery.page import Page
from poller.ids.ranges import Range, subtract
from poller.reading.snapshot import Found, History
from poller.wire import row
from poller.wire.row import Problem, Row
from tests.harness.simulation import Client, SimulatedTable, Worker

BOUND_S = 60
STEP_S = 0.005
NOW = (1, 0)  # generation, floor
EPOCH = "abcd"


class Reader:
    """Rows 1 to `last`; a query takes its time while `gate` is shut."""

    def __init__(self, last: int = 100, text: str = "x") -> None:
        self.rows = dict.fromkeys(range(1, last + 1), text)
        self.asked: list[tuple[Sequence[Range], int]] = []
        self.at_once = self.most_at_once = 0
        self.gate = Event()
        self.gate.set()
        self.fail: Exception | None = None
        self.epoch = EPOCH
        self.counter: int | None = None

    def __call__(self, ranges: Sequence[Range], limit: int) -> Found:
        self.asked.append((ranges, limit))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.gate.wait()
        self.at_once -= 1
        if self.fail:
            raise self.fail
        ids = [i for i in sorted(self.rows) if any(low <= i <= high for low, high in ranges)]
        rows = [Row(i, {"id": i, "text": self.rows[i]}) for i in ids[:limit]]
        return Found(History("place", self.epoch), rows, self.counter)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Inside, queries begin and do not end."""
        self.gate.clear()
        yield
        self.gate.set()

    def wait_begun(self, queries: int) -> None:
        with gevent.Timeout(BOUND_S):
            while len(self.asked) < queries:
                gevent.sleep(0)


def ids(of: Page) -> list[int]:
    return [row_id for row_id, _ in of.rows]


def ask(shared: Backfill, *ranges: Range, as_of: tuple[int, int] = NOW) -> "gevent.Greenlet":  # type: ignore[type-arg]
    """Somebody who asks, by now."""
    asker = gevent.spawn(shared.page, ranges, as_of)
    gevent.sleep(0)
    return asker


def got(asker: "gevent.Greenlet") -> Page:  # type: ignore[type-arg]
    with gevent.Timeout(BOUND_S):
        result: Page = asker.get()
    return result


def make(reader: Reader, batch_rows: int = 1000) -> Backfill:
    return Backfill("test", reader, batch_rows, lambda: (EPOCH,))


def test_a_page_cut_off_by_its_bytes_says_nothing_of_the_ids_beyond_its_last_row() -> None:
    table = SimulatedTable(rows_that_fit=2)
    worker = Worker(table, batch_rows=10, log_capacity_rows=1)
    table.insert(7)
    worker.poll_until_quiet()
    client = Client("0")
    client.read(worker)
    assert client.ids == [1, 2, 3, 4, 5, 6, 7]
    client.drop()


def test_a_page_of_ids_that_started_again_is_nobodys() -> None:
    reader = Reader(last=3)
    shared = make(reader)
    reader.counter = 3
    with pytest.raises(OtherHistory):
        got(ask(shared, (1, 10)))
    reader.counter = 10
    assert ids(got(ask(shared, (1, 10)))) == [1, 2, 3]


# -- sharing ------------------------------------------------------------------------------------


def test_readers_of_the_same_rows_share_one_query_and_one_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, encoded, body = Reader(10), list[int](), row.body

    def noted(new: Row) -> tuple[bytes, Problem | None]:
        encoded.append(new.id)
        return body(new)

    monkeypatch.setattr(row, "body", noted)
    shared = make(reader)
    with reader.shut():
        askers = [ask(shared, (3, 10)) for _ in range(50)]
    pages = [got(one) for one in askers]
    assert len(reader.asked) == 1
    assert all(one is pages[0] for one in pages)
    assert ids(pages[0]) == encoded == list(range(3, 11))


def test_a_page_is_kept_for_a_short_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("poller.delivery.backfill.time.monotonic", lambda: now)
    reader = Reader()
    shared = make(reader)
    first = shared.page([(3, 10)], NOW)
    now += backfill.KEPT_S - 0.1
    assert shared.page([(3, 10)], NOW) is first
    now += 0.2
    assert shared.page([(3, 10)], NOW) is not first
    assert len(reader.asked) == 2


def test_equal_clients_share_every_page_and_not_just_the_first() -> None:
    reader = Reader(900)
    shared = make(reader)
    for _ in range(3):
        missing = (1, 900)
        while missing[0] <= missing[1]:
            missing = (shared.page([missing], NOW).upto + 1, 900)
    assert len(reader.asked) == len({str(asked) for asked in reader.asked}) < 8


def test_a_reader_within_a_page_takes_the_rest_of_it() -> None:
    reader = Reader(200)
    shared = make(reader)
    assert ids(shared.page([(1, 200)], NOW)) == list(range(1, 51))
    assert ids(shared.page([(20, 200)], NOW)) == list(range(20, 51))
    assert ids(shared.page([(7, 7), (9, 200)], NOW)) == [7, *range(9, 51)]
    assert len(reader.asked) == 1


def test_a_reader_that_lacks_more_asks_only_for_the_new_ids() -> None:
    reader = Reader(12)
    shared = make(reader)
    assert ids(shared.page([(3, 10)], NOW)) == list(range(3, 11))
    assert ids(shared.page([(3, 12)], NOW)) == list(range(3, 11))
    assert ids(shared.page([(11, 12)], NOW)) == [11, 12]
    assert [asked for asked, _ in reader.asked] == [[(3, 10)], [(11, 12)]]


def test_a_part_without_rows_is_no_answer_while_more_is_missing() -> None:
    """Who gets nothing takes it that nothing is there now, and waits."""
    reader = Reader(100)
    del reader.rows[5]
    shared = make(reader)
    shared.page([(5, 5)], NOW)
    found = shared.page([(5, 5), (90, 100)], NOW)
    assert (found.asked, ids(found)) == (((5, 5), (90, 100)), list(range(90, 101)))
    assert shared.page([(5, 5)], NOW).rows == []


def test_few_queries_run_at_once() -> None:
    reader = Reader()
    shared = make(reader)
    with reader.shut():
        askers = [ask(shared, (i, i)) for i in range(1, 31)]
        reader.wait_begun(QUERIES_AT_ONCE)
    assert [ids(got(one)) for one in askers] == [[i] for i in range(1, 31)]
    assert reader.most_at_once == QUERIES_AT_ONCE


def test_a_page_is_no_larger_than_its_bound_whatever_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(400, text="x" * 20_000)
    shared = make(reader)
    missing, sizes = (1, 400), []
    while missing[0] <= missing[1]:
        found = shared.page([missing], NOW)
        sizes.append(sum(len(body) for _, body in found.rows))
        missing = (found.upto + 1, 400)
    assert sum(sizes) > 400 * 20_000
    assert max(sizes) <= page.PAGE_BYTES
    assert [limit for _, limit in reader.asked][:4] == [50, 25, 12, 6]


# -- safety: a page that is too old to be believed ----------------------------------------------


@pytest.mark.parametrize("other", [(2, 0), (1, 7)], ids=["generation", "floor"])
@pytest.mark.parametrize("under_way", [True, False], ids=["under way", "kept"])
def test_a_page_is_nothing_to_those_who_ask_under_another(
    other: tuple[int, int], under_way: bool
) -> None:
    reader = Reader(10)
    shared = make(reader)
    with reader.shut():
        first = ask(shared, (1, 10))
        second = ask(shared, (1, 10), as_of=other) if under_way else None
    got(first)
    got(second or ask(shared, (1, 10), as_of=other))
    assert len(reader.asked) == 2


def worker(table: SimulatedTable, **changes: object) -> Worker:
    started = Worker(table, batch_rows=500, **changes)
    started.poll_until_quiet()
    return started


def test_a_row_below_the_floor_arrives_once_the_floor_is_gone() -> None:
    """Without the floor in `as_of`, the second client would be told that 4 can never appear."""
    table = SimulatedTable()
    table.insert(3)
    late = table.begin()
    table.insert(2)
    table.roll_back(table.begin())
    table.insert(9)
    started = worker(table, history_rows=1)
    assert started.log.floor
    first, second = Client("abcd.2"), Client("abcd.2")
    first.read(started)
    assert 4 not in first.ids
    table.commit(late)
    started.poll_until_quiet()
    assert not started.log.floor
    second.read(started)
    assert sorted(second.ids) == sorted(i for i in table.committed if i > 2)


def test_a_late_commit_within_a_page_reaches_later_readers() -> None:
    """If a page answered for ids that nobody had asked for, the second would be told the same."""
    table = SimulatedTable()
    table.insert(3)
    late = table.begin()
    table.insert(9)
    started = worker(table)
    first, second = Client("abcd.2"), Client("abcd.2")
    first.read(started)
    assert 4 not in first.ids
    table.commit(late)
    table.insert(9)
    started.poll_until_quiet()
    second.read(started)
    assert sorted(second.ids) == sorted(i for i in table.committed if i > 2)


def test_rows_of_a_recreated_table_are_not_those_of_the_one_before() -> None:
    table = SimulatedTable()
    table.insert(9)
    started = worker(table)
    Client("0").read(started)
    table.recreate()
    table.insert(9)
    table.committed |= dict.fromkeys(table.committed, "recreated")
    started.poll_until_quiet()
    stream = iter(started.open_stream("0"))
    sent = b"".join(next(stream) for _ in range(4))
    assert sent.count(b"recreated") == 9
    assert b'"text":"row' not in sent


def test_a_page_of_a_history_that_is_not_streamed_is_for_nobody_and_not_kept() -> None:
    """The table became another one, or a pooler mixed two up: the next poll finds out which."""
    reader = Reader(3)
    shared = make(reader)
    reader.epoch = "beef"
    with pytest.raises(OtherHistory):
        shared.page([(1, 3)], NOW)
    reader.epoch = EPOCH
    assert ids(shared.page([(1, 3)], NOW)) == [1, 2, 3]


def test_rows_of_a_new_history_wait_for_the_poll_that_resets() -> None:
    table = SimulatedTable()
    table.insert(9)
    started = worker(table)
    table.recreate()
    table.insert(9)
    table.committed |= dict.fromkeys(table.committed, "recreated")
    stream = iter(started.open_stream("0"))
    sent = b"".join(next(stream) for _ in range(3))  # up to the heartbeat after the page
    assert b"recreated" not in sent
    started.poll_until_quiet()
    sent = b"".join(next(stream) for _ in range(2))
    assert sent.index(b"event: reset") < sent.index(b"id: ")


# -- who goes, and what fails -------------------------------------------------------------------


def test_a_failed_query_fails_for_all_who_wait_and_is_not_kept() -> None:
    reader = Reader(3)
    shared = make(reader)
    reader.fail = OSError("away")
    with reader.shut():
        askers = [ask(shared, (1, 3)) for _ in range(3)]
    for one in askers:
        with pytest.raises(OSError, match="away"):
            one.get(timeout=BOUND_S)
    assert len(reader.asked) == 1
    reader.fail = None
    assert ids(shared.page([(1, 3)], NOW)) == [1, 2, 3]


def test_the_end_of_the_first_reader_does_not_fail_the_others() -> None:
    reader = Reader(3)
    shared = make(reader)
    with reader.shut():
        first, *others = [ask(shared, (1, 3)) for _ in range(3)]
        reader.wait_begun(1)
        first.kill()
    assert [ids(got(one)) for one in others] == [[1, 2, 3]] * 2
    assert len(reader.asked) == 1


def test_a_running_query_is_finished_though_nobody_waits() -> None:
    """That would spoil its connection. Its page is kept, as for anybody."""
    reader = Reader(3)
    shared = make(reader)
    with reader.shut():
        only = ask(shared, (1, 3))
        reader.wait_begun(1)
        only.kill()
    assert ids(shared.page([(1, 3)], NOW)) == [1, 2, 3]
    assert (len(reader.asked), reader.at_once) == (1, 0)


@pytest.mark.parametrize("order", ["before its turn", "at its turn"])
def test_who_goes_before_the_query_began_leaves_none_behind(order: str) -> None:
    reader = Reader(50)
    shared = make(reader)
    with reader.shut():
        busy = [ask(shared, (i, i)) for i in range(1, QUERIES_AT_ONCE + 1)]
        reader.wait_begun(QUERIES_AT_ONCE)
        goes, stays = ask(shared, (40, 50)), ask(shared, (30, 35))
        if order == "before its turn":
            goes.kill()
    goes.kill(block=order == "before its turn")
    assert [ids(got(one)) for one in busy] == [[i] for i in range(1, QUERIES_AT_ONCE + 1)]
    assert ids(got(stays)) == list(range(30, 36))
    assert ((40, 50),) not in [tuple(asked) for asked, _ in reader.asked]
    assert shared._under_way == {}
    assert ids(shared.page([(40, 50)], NOW)) == list(range(40, 51))


def test_a_query_for_clients_that_left_does_not_begin() -> None:
    reader = Reader(50)
    shared = make(reader)
    here = {"ann": True, "ben": True}
    with reader.shut():
        busy = [ask(shared, (i, i)) for i in range(1, QUERIES_AT_ONCE + 1)]
        reader.wait_begun(QUERIES_AT_ONCE)
        gone = gevent.spawn(shared.page, [(40, 50)], NOW, lambda: here["ann"])
        joined = gevent.spawn(shared.page, [(30, 35)], NOW, lambda: here["ann"])
        stays = gevent.spawn(shared.page, [(30, 35)], NOW, lambda: here["ben"])
        gevent.sleep(0)
        here["ann"] = False
    for one in busy:
        got(one)
    assert ids(got(stays)) == list(range(30, 36))
    with pytest.raises(Unwanted):
        got(gone)
    assert ids(got(joined)) == list(range(30, 36))  # whoever shares it costs nothing
    assert ((40, 50),) not in [tuple(asked) for asked, _ in reader.asked]
    assert shared._under_way == {}
    assert ids(shared.page([(40, 50)], NOW)) == list(range(40, 51))


def test_of_thousands_of_ranges_few_are_asked_for_at_once() -> None:
    reader = Reader(100)
    shared = make(reader)
    dead = [(i, i) for i in range(1_000, 7_000, 2)]
    found = shared.page([(7, 7), *dead], NOW)
    assert ids(found) == [7]
    assert [len(asked) for asked, _ in reader.asked] == [QUESTION_RANGES]
    left = subtract(dead, found.asked)
    assert shared.page(left, NOW).asked == left
    assert [len(asked) for asked, _ in reader.asked] == [QUESTION_RANGES] * 6 + [1]


def test_who_leaves_while_nothing_is_found_ends_the_search() -> None:
    reader = Reader(1)
    looks = iter([True] * 4 + [False])
    with pytest.raises(Unwanted):
        make(reader).page([(i, i) for i in range(10, 7_000, 2)], NOW, lambda: next(looks))
    assert len(reader.asked) == 2


def test_what_is_kept_is_bounded_in_bytes_and_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(backfill, "KEPT_PAGES", 10)
    shared = make(Reader(100, text="x" * 10_000))
    for i in range(1, 101):
        shared.page([(i, i)], NOW)
        assert shared._kept_bytes == sum(kept.page.size_bytes for kept in shared._kept)
        assert shared._kept_bytes <= 100_000
    assert len(shared._kept) > 1
    small = make(Reader(100))
    for i in range(1, 101):
        small.page([(i, i)], NOW)
    assert len(small._kept) == 10


def test_memory_is_given_back_when_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "KEPT_S", 0.02)
    shared = make(Reader())
    for i in range(1, 4):
        shared.page([(i, i)], NOW)
    assert shared._kept_bytes > 0
    with gevent.Timeout(BOUND_S):
        while shared._timer is not None:
            gevent.sleep(STEP_S)
    assert (len(shared._kept), shared._kept_bytes) == (0, 0)
