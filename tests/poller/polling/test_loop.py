"""The poller: one pass, and the loop that never dies."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gevent
import gevent.event
import pytest

from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.ids.ranges import Range
from poller.polling.loop import Poller
from poller.reading.fence import GracePeriod, Pass
from poller.runtime import log, recurring
from tests.harness.greenlets import until
from tests.harness.simulation import SimulatedLocks, SimulatedTable, Worker


@pytest.fixture
def table() -> SimulatedTable:
    return SimulatedTable()


@pytest.fixture
def worker(table: SimulatedTable) -> Iterator[Worker]:
    worker = Worker(table)
    yield worker
    worker.poller.stop()


def delivered(worker: Worker) -> list[int]:
    log = worker.log
    return [entry.row_id for entry in log.entries(log.oldest, log.head)]


def test_a_full_batch_polls_again_at_once_and_another_waits(
    table: SimulatedTable, worker: Worker
) -> None:
    table.insert(3)
    assert worker.poller.poll() == 0.0
    assert worker.poller.poll() == worker.settings.poll_interval_s


def test_reads_that_take_long_one_after_another_leave_the_database_alone_for_as_long(
    table: SimulatedTable, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that walks over a million rows that are not committed, at each poll."""
    now, took_s = 0.0, 0.75
    read = worker.source.read

    def slow_read(*args: Any, **named: Any) -> Pass:
        nonlocal now
        now += took_s
        return read(*args, **named)

    monkeypatch.setattr(worker.source, "read", slow_read)
    worker.poller = Poller(
        "test", worker.source, worker.log, worker.settings, lambda: True, lambda: now
    )
    assert worker.poller.poll() == worker.settings.poll_interval_s
    assert worker.poller.poll() == 0.75
    table.insert(2)
    assert worker.poller.poll() == 0.0
    took_s = 2.0
    assert worker.poller.poll() == 0.75
    took_s = 0.0
    assert worker.poller.poll() == worker.settings.poll_interval_s
    took_s = 2.0
    assert worker.poller.poll() == worker.settings.poll_interval_s


def test_a_row_is_encoded_once_with_the_cursor_that_holds_it(
    table: SimulatedTable, worker: Worker
) -> None:
    table.insert()
    worker.poll_until_quiet()
    (entry,) = worker.log.entries(0, 9)
    assert entry.frame == b'data: {"id":1,"text":"row 1"}\nid: abcd.1\n\n'
    assert entry.held == Named.of(Cursor.at(1))
    assert entry.lines == b'data: {"id":1,"text":"row 1"}\n'


def test_tables_that_begin_together_poll_apart(
    table: SimulatedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for another share of its first interval, and for whole ones from then on."""
    shares = iter([0.25, 0.75])
    monkeypatch.setattr("random.random", lambda: next(shares))
    waits = []
    for _ in range(2):
        worker = Worker(table)
        table.insert(worker.settings.batch_rows)  # a full batch polls again at once
        delays = [worker.poller.once() for _ in range(4)]
        waits.append([delay_s / worker.settings.poll_interval_s for delay_s in delays])
    assert waits == [[0.0, 0.25, 1.0, 1.0], [0.0, 0.0, 0.75, 1.0]]


def test_the_start_is_history_rows_below_the_newest(table: SimulatedTable) -> None:
    table.insert(10)
    worker = Worker(table, history_rows=2)
    worker.poll_until_quiet()
    assert delivered(worker) == [9, 10]


def test_a_rolled_back_id_is_retired_once_its_fence_says_so(
    table: SimulatedTable, worker: Worker
) -> None:
    pending = table.begin()
    table.insert()
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    assert worker.log.cursor.gaps == ((1, 1),)
    table.roll_back(pending)
    worker.poll_until_quiet()
    assert worker.log.cursor == Cursor.at(2)


def test_a_recreated_and_refilled_table_is_another_history(
    table: SimulatedTable, worker: Worker
) -> None:
    table.insert(3)
    worker.poll_until_quiet()
    generation = worker.log.generation
    table.committed = {row_id: f"other {row_id}" for row_id in range(1, 6)}
    table.last_id, table.version = 5, "01"
    assert worker.poller.poll() == 0.0
    worker.poll_until_quiet()
    assert (worker.log.generation, worker.log.reset_reason) == (generation + 1, "history-changed")


@pytest.mark.parametrize("left", [1, 3])
def test_another_version_with_the_same_newest_rows_is_the_same_history(
    table: SimulatedTable, worker: Worker, left: int
) -> None:
    """A column was added, another table was made, the file was vacuumed."""
    table.insert(3)
    worker.poll_until_quiet()
    generation = worker.log.generation
    table.committed = {row_id: table.committed[row_id] for row_id in range(4 - left, 4)}
    table.version = "01"
    worker.poll_until_quiet()
    assert worker.log.generation == generation


def test_a_floor_is_asked_about_also_where_no_gap_is_open(table: SimulatedTable) -> None:
    table.insert(5)
    old = table.begin(0)
    worker = Worker(table, history_rows=1)
    opening = worker.source.open
    worker.source.open = lambda: replace(opening(), floor=3)  # type: ignore[method-assign]
    worker.poll_until_quiet()
    assert worker.log.floor == 3
    woken = gevent.event.Event()
    worker.log.attach(woken)
    table.commit(old)
    worker.poll_until_quiet()
    assert worker.log.floor == 0
    assert woken.is_set()


def test_a_failed_pass_forgets_what_was_known_of_the_gaps(
    table: SimulatedTable, worker: Worker
) -> None:
    """A grace that ran while the database was away was no time to commit in."""
    clock = [0.0]
    worker.source.fence = GracePeriod(5.0, lambda: clock[0])
    pending = table.begin()
    table.insert()
    worker.poll_until_quiet()
    clock[0] = 4.0
    worker.poller._failed(OSError("away"))
    clock[0] = 60.0
    worker.source.fail = None
    worker.poll_until_quiet()
    assert worker.log.cursor.gaps == ((1, 1),)
    table.commit(pending)
    worker.poll_until_quiet()
    assert delivered(worker) == [2, 1]


def test_resets_in_a_row_do_not_come_without_a_pause(table: SimulatedTable, worker: Worker) -> None:
    table.insert(1)
    worker.poll_until_quiet()
    table.last_id = 0
    assert worker.poller.poll() == 0.0
    worker.poller._held = worker.poller._open()
    assert worker.poller._reset("again") == worker.settings.poll_interval_s


def test_a_full_batch_retires_no_gap_beyond_its_last_row(
    table: SimulatedTable, worker: Worker
) -> None:
    low, dead, high = [table.begin(n) for n in (2, 1, 1)]  # 1 and 2, 3, 4
    table.insert()
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    table.commit(low)
    table.commit(high)
    table.roll_back(dead)
    assert worker.poller.poll() == 0.0  # a batch of two: 1 and 2
    worker.poll_until_quiet()
    assert delivered(worker) == [1, 2, 4]


def test_the_fence_is_asked_only_while_a_gap_is_open(table: SimulatedTable, worker: Worker) -> None:
    looks: list[object] = []

    class Watched(SimulatedLocks):
        def look(self, connection: object, gaps: Sequence[Range]) -> object:
            looks.append(gaps)
            return super().look(connection, gaps)

    worker.source.fence = Watched(table)
    table.insert(3)
    worker.poll_until_quiet()
    assert looks == []
    table.begin()
    table.insert()
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    assert looks == [((4, 4),)]


def test_a_pass_reads_no_gap_whose_holder_is_still_there(
    table: SimulatedTable,
) -> None:
    """Each pass finds a row after a burnt id; one transaction is open throughout."""
    worker = Worker(table, batch_rows=500)
    held = table.begin()
    for _ in range(50):
        table.roll_back(table.begin())
        table.insert()
        worker.poll_until_quiet()
    assert len(worker.log.cursor.gaps) == 50
    assert max(worker.source.reads) == 1  # that of the pass before, of which nothing is known
    table.commit(held)
    worker.poll_until_quiet()
    assert worker.source.reads[-1] == 50
    assert worker.log.cursor == Cursor.at(101)


def test_all_dead_gaps_are_retired_at_once(
    table: SimulatedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, 8,000 took 16 s."""
    worker = Worker(table, batch_rows=500, log_capacity_rows=1000)
    held = [table.begin()]
    for _ in range(400):
        held.append(table.begin())
        table.insert()
    worker.poll_until_quiet()
    for transaction in held:
        table.roll_back(transaction)
    table.insert(100)
    retired: list[int] = []
    retire = Cursor.retire

    def noted(cursor: Cursor, dead: Sequence[Range]) -> Cursor:
        retired.append(len(dead))
        return retire(cursor, dead)

    monkeypatch.setattr(Cursor, "retire", noted)
    worker.poll_until_quiet()
    assert worker.log.cursor == Cursor.at(901)
    assert len(retired) == 1


def test_the_rows_of_a_batch_share_two_sets(table: SimulatedTable) -> None:
    worker = Worker(table, batch_rows=500, log_capacity_rows=1000)
    table.begin()
    table.insert(300)
    worker.poll_until_quiet()
    table.insert(200)
    worker.poll_until_quiet()
    entries = worker.log.entries(worker.log.oldest, 1000)
    assert len({id(entry.change) for entry in entries}) == 2
    assert [entry.held.position for entry in entries] == list(range(2, 502))


def test_a_value_that_cannot_be_encoded_is_withheld_among_the_others(
    table: SimulatedTable, worker: Worker
) -> None:
    table.insert(3)
    table.committed[2] = "lone \ud800 surrogate"
    worker.poll_until_quiet()
    frames = [entry.frame for entry in worker.log.entries(0, 9)]
    assert frames[1].startswith(b'data: {"id":2,"text":null,"_withheld":{"text":')
    assert b'"text":"row 1"' in frames[0]
    assert b'"text":"row 3"' in frames[2]


def test_a_failed_poll_raises_and_the_next_brings_what_it_missed(
    table: SimulatedTable, worker: Worker
) -> None:
    worker.poll_until_quiet()
    table.insert()
    worker.source.fail = OSError("away")
    with pytest.raises(OSError, match="away"):
        worker.poller.poll()
    worker.source.fail = None
    worker.poll_until_quiet()
    assert delivered(worker) == [1]


def test_the_backoff_doubles_is_jittered_and_capped(worker: Worker) -> None:
    delays = [worker.poller._failed(OSError("away")) for _ in range(20)]
    for n, delay in enumerate(delays):
        longest = min(recurring.LONGEST_BACKOFF_S, recurring.FIRST_BACKOFF_S * 2**n)
        assert longest / 2 <= delay <= longest
    assert len(set(delays)) > 10


def test_the_loop_survives_anything_and_recovers(
    table: SimulatedTable, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 0.01)
    worker.source.fail = ZeroDivisionError("a bug")
    worker.poller.start()
    until(lambda: worker.poller._failures > 3, "four failures")
    assert isinstance(worker.poller.problem, ZeroDivisionError)
    worker.source.fail = None
    table.insert()
    until(lambda: delivered(worker) == [1], "the row")
    until(lambda: worker.poller.problem is None, "its recovery")


def test_a_log_that_cannot_be_written_does_not_end_the_loop(
    table: SimulatedTable, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClosedPipe(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise BrokenPipeError

    closed_pipe = ClosedPipe()
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 0.01)
    monkeypatch.setattr(log.LOGGER, "handlers", [closed_pipe])
    worker.source.fail = OSError("away")
    worker.poller.start()
    until(lambda: worker.poller._failures > 2, "three failures")
    worker.source.fail = None
    table.insert(2)
    table.committed[1] = "\ud800"
    until(lambda: delivered(worker) == [1, 2], "both rows")


def test_waking_polls_at_once(table: SimulatedTable) -> None:
    worker = Worker(table, poll_interval_s=1000.0)
    worker.poller.start()
    until(lambda: worker.log.ready, "the first complete pass")
    table.insert()
    worker.poller.wake()
    until(lambda: delivered(worker) == [1], "the row")
    worker.poller.stop()


def test_nobody_listening_slows_it_down_but_never_speeds_it_up(table: SimulatedTable) -> None:
    worker = Worker(table, poll_interval_s=0.5, idle_interval_s=5.0)
    worker.listening = False
    assert worker.poller.poll() == 5.0
    slow = Worker(table, poll_interval_s=60.0, idle_interval_s=5.0)
    slow.listening = False
    assert slow.poller.poll() == 60.0


def test_starting_and_stopping_twice_are_allowed(worker: Worker) -> None:
    worker.poller.stop()
    worker.poller.start()
    greenlet = worker.poller._greenlet
    worker.poller.start()
    assert worker.poller._greenlet is greenlet
    worker.poller.stop()
    worker.poller.stop()
    assert not worker.poller.started


def test_while_the_database_is_away_waking_does_not_hurry_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "FIRST_BACKOFF_S", 1000.0)
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 1000.0)
    worker.source.fail = OSError("away")
    worker.poller.start()
    until(lambda: worker.poller._failures == 1, "a failure")
    for _ in range(20):
        worker.poller.wake()
        gevent.sleep(0)
    assert worker.poller._failures == 1


def test_after_a_failure_the_history_is_looked_at_before_rows_are_read(
    table: SimulatedTable, worker: Worker
) -> None:
    table.insert(2)
    worker.poll_until_quiet()
    worker.poller._failed(OSError("away"))
    table.recreate()
    table.insert(5)
    reads = len(worker.source.reads)
    assert worker.poller.poll() == 0.0
    assert len(worker.source.reads) == reads
    worker.poller._recovered()
    worker.poll_until_quiet()
    assert worker.log.epoch == "ef01"


def test_a_batch_cut_off_by_its_bytes_is_followed_by_the_rest_at_once(
    table: SimulatedTable,
) -> None:
    worker = Worker(table, batch_rows=10, log_capacity_rows=10)
    table.rows_that_fit = 2
    table.insert(5)
    assert [worker.poller.poll() for _ in range(3)] == [0.0, 0.0, worker.settings.poll_interval_s]
    assert delivered(worker) == [1, 2, 3, 4, 5]


def test_a_batch_cut_off_by_its_bytes_proves_no_gap_beyond_its_last_row_dead(
    table: SimulatedTable,
) -> None:
    worker = Worker(table, batch_rows=10, log_capacity_rows=10)
    slow = table.begin()
    table.insert()
    worker.poll_until_quiet()
    table.rows_that_fit = 1
    early = table.begin()
    table.insert(2)
    table.commit(slow)
    table.commit(early)
    worker.poll_until_quiet()
    assert sorted(delivered(worker)) == [1, 2, 3, 4, 5]


def test_a_poller_started_while_it_stops_polls_once_at_a_time(
    table: SimulatedTable, worker: Worker
) -> None:
    """Its last query still runs when it is started again: each row goes into the log once."""
    running, most = 0, 0
    answer = gevent.event.Event()
    read = worker.source.read

    def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        answer.wait()
        running -= 1
        return read(*arguments, **options)

    worker.source.read = slow  # type: ignore[method-assign]
    worker.poller.start()
    until(lambda: running == 1, "a query")
    stopping = gevent.spawn(worker.poller.stop)
    until(lambda: not worker.poller.started, "the stop")
    worker.poller.start()
    gevent.sleep(0)
    table.insert(3)
    answer.set()
    stopping.join()
    until(lambda: delivered(worker) == [1, 2, 3], "the rows")
    worker.poller.stop()
    assert most == 1
