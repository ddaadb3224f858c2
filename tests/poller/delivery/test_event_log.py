"""The ring."""

from collections.abc import Sequence

from gevent.event import Event

from poller.delivery.entry import ENTRY_OVERHEAD_BYTES, GAP_BYTES, Batch, Entry
from poller.delivery.event_log import EventLog
from poller.ids.cursor import Cursor
from poller.ids.named import Change, Named
from poller.ids.ranges import Range
from poller.wire import event_id, sse


def at(position: int, gaps: Sequence[Range] = ()) -> Named:
    return Named.of(Cursor.at(position, gaps))


def entry(row_id: int, change: Change, text: str = "x") -> Entry:
    lines, after = sse.fields(text), change.after
    frame = event_id.frame("abcd", after, lines)
    return Entry(row_id, change, 1, after.mark, frame, len(lines))


def log_of(*ids: int, rows: int = 100, size: int = 10**6, start: int = 0) -> EventLog:
    log = EventLog(rows, size)
    log.begin("abcd", at(start))
    append(log, *ids)
    return log


def append(log: EventLog, *ids: int) -> None:
    held, entries = log.held, []
    for row_id in ids:
        before, held = held, held.then([(row_id, row_id)])
        entries.append(entry(row_id, Change(before, held)))
    log.extend(entries, held)


def test_it_holds_no_more_rows_than_its_capacity() -> None:
    log = log_of(1, 2, 3, 4, rows=3)
    assert (log.oldest, log.head) == (1, 4)
    assert [e.row_id for e in log.entries(1, 10)] == [2, 3, 4]


def test_it_holds_no_more_bytes_than_its_capacity() -> None:
    size = len(entry(1, Change(at(0), at(1))).frame) + ENTRY_OVERHEAD_BYTES + GAP_BYTES
    log = log_of(1, 2, 3, 4, size=2 * size)
    assert log.head - log.oldest == 2
    assert log.size_bytes <= 2 * size


def test_a_row_larger_than_the_whole_ring_is_known_to_have_left_it() -> None:
    log = log_of(1, 2, size=10)
    assert log.oldest == log.head == 2
    assert 1 in log.base
    assert 2 in log.base


def test_the_base_holds_exactly_what_has_left_the_ring() -> None:
    log = log_of(1, 2, 4, 5, 7, rows=2)
    assert [n for n in range(1, 9) if n in log.base] == [1, 2, 4]
    append(log, 3, 8)
    assert [n for n in range(1, 10) if n in log.base] == [1, 2, 3, 4, 5, 7]


def test_what_was_there_before_the_start_is_in_the_base() -> None:
    log = log_of(start=40)
    assert 40 in log.base
    assert 41 not in log.base


def test_a_client_with_the_cursor_of_an_entry_goes_on_after_it() -> None:
    log = log_of(1, 2, 4)
    assert located(log, at(1)) == (1, at(1))
    assert located(log, at(4, [(3, 3)])) == (3, at(4, [(3, 3)]))
    assert located(log, at(3)) is None
    assert located(log, at(0)) is None


def test_after_a_late_row_the_mark_tells_who_has_it() -> None:
    log = log_of(1, 2, 6, 4, 3)
    sets = [at(6, [(3, 5)]), at(6, [(3, 3), (5, 5)]), at(6, [(5, 5)])]
    assert [located(log, held) for held in sets] == [*zip([3, 4, 5], sets, strict=True)]
    assert located(log, at(6, [(4, 5)])) is None


def located(log: EventLog, held: Named) -> tuple[int, Named] | None:
    return log.locate(held.position, held.mark)


def test_frames_are_joined_up_to_a_bound_but_at_least_one() -> None:
    log = log_of(1, 2, 3)
    one = log.entries(0, 1)[0].frame
    all_three = b"".join(e.frame for e in log.entries(0, 3))
    assert log.take(0, 10**6) == Batch(log.generation, 0, 0, all_three, 3, at(3), 3)
    assert log.take(3, 10**6) is None
    assert log_of(1, 2, 3).take(0, 1) == Batch(log.generation, 0, 0, one, 1, at(1), 1)
    two = log_of(1, 2, 3).take(0, len(one) * 2)
    assert two is not None
    assert two.next_seq == 2


def test_bytes_are_joined_once_for_all_streams_at_one_place() -> None:
    log = log_of(1, 2, 3)
    batch = log.take(1, 10**6)
    assert batch is not None
    assert log.take(1, 10**6) is batch
    append(log, 4)
    more = log.take(1, 10**6)
    assert more is not None
    assert more.next_seq == 4


def test_listeners_are_woken_by_rows_and_by_the_first_complete_pass() -> None:
    log, listener = EventLog(10, 10**6), Event()
    log.attach(listener)
    log.begin("abcd", at(0))
    log.passed(None)
    assert listener.is_set()
    listener.clear()
    log.passed(None)
    assert not listener.is_set()
    append(log, 1)
    assert listener.is_set()
    listener.clear()
    log.await_pass(listener)
    log.passed(None)
    assert listener.is_set()
    listener.clear()
    log.detach(listener)
    append(log, 2)
    assert not listener.is_set()


def test_a_new_history_is_empty_not_ready_and_a_new_generation() -> None:
    log = log_of(1, 2)
    log.passed(2)
    generation = log.generation
    log.begin("ef01", at(0), "history-changed")
    assert not log.ready
    assert log.generation == generation + 1
    assert log.oldest == log.head == 2


def test_the_newest_ids_leave_out_a_row_that_was_late() -> None:
    log = log_of(*range(101, 121), 7, 121, start=5)
    assert log.newest_ids(5) == [117, 118, 119, 120, 121]
    assert log_of(8, 9).newest_ids(5) == [8, 9]
    assert log_of().newest_ids(5) == []
