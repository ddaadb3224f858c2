"""The looker: when it looks, and what becomes of failures."""

import logging
import time

import gevent
import pytest

from poller.reading.description import TableError
from poller.reading.windows.look import Look
from poller.runtime import recurring
from poller.window import looker
from tests.harness.greenlets import until
from tests.harness.windows import SimulatedQuery, WindowWorker


@pytest.fixture
def query() -> SimulatedQuery:
    query = SimulatedQuery(4)
    query.rows = {number: (number, 0) for number in range(1, 4)}
    return query


def test_looks_fall_on_whole_multiples_of_the_interval(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    for now, wait in ((100.25, 0.75), (100.0, 1.0), (100.999, 0.001)):
        worker.now = now
        assert worker.looker.poll() == pytest.approx(wait)


def test_a_look_with_nothing_changed_adds_nothing(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    worker.look()
    picture = worker.log.picture
    worker.look()
    assert worker.log.picture is picture
    assert worker.log.head == 0


def test_nobody_listens_and_it_does_not_look(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    worker.listening = False
    assert worker.looker.once() is not None  # but for the first time
    assert query.looks == 1
    assert worker.looker.once() is None
    assert query.looks == 1
    assert worker.log.resting


def test_the_first_who_comes_wakes_it(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    worker.listening = False
    worker.looker.start()
    until(lambda: worker.log.resting, "it rests")
    worker.listening = True
    query.rows[9] = (9, 0)
    stream = worker.subscribe()
    assert stream.next_chunk() == b""
    until(lambda: b'"id":9' in stream.next_chunk(), "the new row")
    worker.looker.stop()


def test_waking_looks_at_once(query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = WindowWorker(query)
    worker.looker.interval_s = 1000.0
    monkeypatch.setattr(looker, "LONGEST_WAIT_S", 1000.0)
    worker.looker.start()
    until(lambda: query.looks == 1, "the first look")
    worker.looker.wake()
    until(lambda: query.looks == 2, "the second look")
    worker.looker.stop()


def test_a_hint_during_a_look_leads_to_one_more(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row may have been committed after the look had read."""
    worker = WindowWorker(query)
    worker.looker.interval_s = 1000.0
    monkeypatch.setattr(looker, "LONGEST_WAIT_S", 1000.0)
    look = query.look

    def hinted() -> Look | None:
        found = look()
        if query.looks == 1:
            query.rows[9] = (9, 0)
            worker.looker.wake()
        return found

    monkeypatch.setattr(query, "look", hinted)
    stream = worker.subscribe()
    worker.looker.start()
    until(lambda: b'"id":9' in stream.next_chunk(), "the row")
    worker.looker.stop()


def test_hinted_looks_fall_on_whole_multiples_of_a_short_time(query: SimulatedQuery) -> None:
    """So workers that are told of a flood see the same states."""
    worker = WindowWorker(query)
    began = time.monotonic() - 1000.0
    for now in (100.0, 100.004, 100.0099, 7.12345):
        worker.now = now
        at = now + worker.looker._rest_s(began, began)
        assert at % 0.01 == pytest.approx(0, abs=1e-6) or at % 0.01 == pytest.approx(0.01)
        assert now <= at <= now + 0.0101


def test_nobody_listens_and_a_hint_is_no_look(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    worker.look()
    worker.listening = False
    worker.looker.wake()
    assert worker.looker.once() is None
    assert query.looks == 1


def test_a_client_that_waits_is_not_kept_for_a_long_interval(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looker, "LONGEST_WAIT_S", 0.01)
    worker = WindowWorker(query)
    worker.looker.interval_s = 1000.0
    worker.looker.start()
    until(lambda: query.looks == 1, "the first look")
    gevent.sleep(0.05)
    assert query.looks == 1  # nobody waits
    stream = worker.subscribe(f"{worker.log.epoch}.3.AAAAAAAAAAA")
    assert stream.next_chunk() == b""
    until(lambda: stream.next_chunk() != b"", "the window")
    assert query.looks == 2
    worker.looker.stop()


def test_a_failure_is_told_once_and_what_was_seen_stays(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recurring, "LONGEST_BACKOFF_S", 0.01)
    caplog.set_level(logging.INFO, "rowcast")
    worker = WindowWorker(query)
    worker.look()
    query.fail = OSError("away")
    worker.looker.start()
    until(lambda: worker.looker._failures > 2, "three failures")
    assert isinstance(worker.looker.problem, OSError)
    assert worker.log.ready
    query.fail = None
    query.rows[9] = (9, 0)
    until(lambda: worker.log.head == 1 and worker.looker.problem is None, "the new row")
    worker.looker.stop()
    told = [record.getMessage() for record in caplog.records]
    assert sum("look failed" in one for one in told) == 1
    assert sum("look recovered" in one for one in told) == 1


def test_a_key_that_stands_twice_is_refused_in_words(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = WindowWorker(query)
    monkeypatch.setattr(query, "answer", lambda _: [(1, 1, 0), (1, 1, 1)])
    with pytest.raises(TableError, match=r"not unique: two rows of the answer have \{\"id\":1\}"):
        worker.look()


def test_starting_and_stopping_twice_are_allowed(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    worker.looker.stop()
    worker.looker.start()
    worker.looker.start()
    assert worker.looker.started
    worker.looker.stop()
    worker.looker.stop()
    assert not worker.looker.started
