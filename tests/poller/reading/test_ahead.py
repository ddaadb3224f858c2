"""What is not read again above the position; the schedules are in `test_fence.py`."""

from functools import partial

import pytest

from poller.delivery.event_log import EventLog
from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID
from poller.polling.loop import Poller
from poller.reading import ahead
from poller.reading.ahead import MANY_IDS, Ahead
from poller.reading.database import Database
from poller.reading.fence import Holder, HolderFence, HoldersSeen
from poller.reading.snapshot import History, Reading
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings
from poller.wire.row import Row
from tests.harness import sql
from tests.harness.sql import Transaction


class Locks(HolderFence):
    name = "locks"
    keys_last = True


FENCE = Locks()


def after(seen: Ahead, *holders: str, counter: int | None, rows: tuple[int, ...] = ()) -> Ahead:
    """What is ahead of position 10 after a pass that saw these."""
    evidence = HoldersSeen(Holder(one, one) for one in holders)
    passed_over = seen.gaps.unchanged(lambda one: FENCE.must_read(one, evidence))
    reading = Reading(History("here", "abcd"), counter, [Row(i, {}) for i in rows])
    judge = partial(FENCE.judge, evidence=evidence)
    return seen.after(reading, 10, 500, judge, passed_over)


def holes(seen: Ahead, *holders: str) -> tuple[tuple[int, int], ...]:
    """What the next pass reads where these are open."""
    evidence = HoldersSeen(Holder(one, one) for one in holders)
    passed_over = seen.gaps.unchanged(lambda one: FENCE.must_read(one, evidence))
    return seen.asked(Cursor.at(10), passed_over).holes


BULK = 10 + MANY_IDS
ALL = ((11, MAX_ID),)
BEYOND = ((BULK + 1, MAX_ID),)


def test_a_bulk_is_read_once_more_and_then_only_when_a_holder_has_gone() -> None:
    seen = after(Ahead(), "bulk", counter=BULK)
    assert holes(seen, "bulk") == ALL
    seen = after(seen, "bulk", "other", counter=BULK)
    assert holes(seen, "bulk", "other", "later") == BEYOND
    assert holes(seen, "bulk") == ALL
    seen = after(seen, "bulk", counter=BULK)
    assert holes(seen, "bulk", "later") == BEYOND
    assert holes(seen) == ALL


def test_few_ids_are_always_read() -> None:
    assert after(Ahead(), "bulk", counter=BULK - 1) == Ahead()


@pytest.mark.parametrize("counter", [None, BULK - 1], ids=["not told", "it fell"])
def test_without_a_counter_that_grows_all_is_read(counter: int | None) -> None:
    seen = after(after(Ahead(), "bulk", counter=BULK), "bulk", counter=BULK)
    assert after(seen, "bulk", counter=counter) == Ahead()


def test_what_the_position_has_passed_is_a_gap_of_the_cursor_and_not_ahead() -> None:
    seen = after(after(Ahead(), "bulk", counter=BULK), "bulk", counter=BULK)
    (part,) = seen.beyond(20).gaps.open
    assert part.ranges == ((21, BULK),)
    assert seen.beyond(BULK) == Ahead()


def test_a_bulk_that_grows_is_passed_over_part_by_part() -> None:
    seen = after(after(Ahead(), "bulk", counter=BULK), "bulk", counter=BULK)
    seen = after(seen, "bulk", counter=BULK + MANY_IDS)
    assert holes(seen, "bulk") == BEYOND
    seen = after(seen, "bulk", counter=BULK + MANY_IDS)
    assert holes(seen, "bulk") == ((BULK + MANY_IDS + 1, MAX_ID),)


@pytest.fixture
def small_bulks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MANY_IDS", 10)


@pytest.mark.usefixtures("small_bulks")
def test_beside_an_uncommitted_bulk_all_rows_come_at_once_and_its_own_when_it_ends(
    postgresql_url: str,
) -> None:
    sql.execute(postgresql_url, "CREATE TABLE notes (id bigserial PRIMARY KEY, b text)")
    database, settings = Database(postgresql_url), Settings()
    log = EventLog(1000, 10**6)
    source = Source(Table("notes"), database, settings)
    poller = Poller("notes", source, log, settings, lambda: True)

    def delivered() -> set[int]:
        poller.poll()
        return {one.row_id for one in log.entries(log.oldest, log.head)}

    def insert() -> int:
        insert_one = "INSERT INTO notes (b) VALUES ('x') RETURNING id"
        return int(sql.execute(postgresql_url, insert_one)[0][0])

    rows = {insert()}
    assert delivered() == rows
    with Transaction(postgresql_url) as bulk:
        bulk.execute("INSERT INTO notes SELECT FROM generate_series(1, 50)")
        for _ in range(3):
            delivered()
        assert source._ahead.gaps.open  # passed over
        rows.add(insert())
        for _ in range(3):
            assert delivered() == rows
        bulk.execute("INSERT INTO notes SELECT FROM generate_series(1, 50)")
        for _ in range(3):
            assert delivered() == rows
        bulk.commit()
    assert delivered() == {*range(1, 103)}
    database.close()
