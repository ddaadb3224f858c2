"""What a forged Last-Event-ID may cost: facts about the work, not about the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from poller.access.turns import Turns
from poller.delivery import page, replay, resuming
from poller.delivery.subscriber import Subscriber
from poller.ids import runs, steps
from poller.ids.cursor import Cursor
from poller.ids.steps import Steps
from tests.harness.simulation import Client, Worker, table_with

ROWS = 6_000
GAPS = 2_500
BOUND_S = 60


def forged(top: int = ROWS) -> str:
    """Every second id is missing."""
    return f"abcd.{Cursor.at(top, [(i, i) for i in range(top - 2 * GAPS, top, 2)]).token()}"


@pytest.fixture(params=["from the table", "from the ring"])
def worker(request: pytest.FixtureRequest) -> Worker:
    in_ring = ROWS if request.param == "from the ring" else 3
    started = Worker(table_with(ROWS), batch_rows=500, history_rows=ROWS, log_capacity_rows=in_ring)
    started.poll_until_quiet()
    return started


def test_tokens_are_written_once_a_page_and_not_once_a_row(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    codes = runs.codes

    def noted(lengths: list[int], powers: tuple[int, int]) -> list[str]:
        nonlocal written
        written += len(lengths)
        return codes(lengths, powers)

    monkeypatch.setattr(steps, "codes", noted)
    client = Client(forged())
    client.read(worker)
    assert len(client.ids) == GAPS
    assert written < 30 * 2 * GAPS  # for each row it was 5,000


def test_the_table_is_asked_for_a_page_at_a_time_whatever_the_gaps(worker: Worker) -> None:
    asked = worker.source.reads_of_pages
    Client(forged()).read(worker)
    assert len(asked) <= 3 + GAPS // 100  # the first pages are small
    assert all(ranges <= 500 for ranges in asked)


def test_nothing_is_done_for_a_client_that_left(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    framed: list[int] = []
    token = Steps.token

    def noted(way: Steps, row_id: int) -> str:
        framed.append(row_id)
        return token(way, row_id)

    monkeypatch.setattr(Steps, "token", noted)
    stream = worker.open_stream(forged())
    chunks = iter(stream)
    while not framed:
        next(chunks)
    done, asked = len(framed), len(worker.source.reads_of_pages)
    stream.end("client gone")
    assert list(chunks) == []
    assert (len(framed), len(worker.source.reads_of_pages)) == (done, asked)


def test_who_left_while_waiting_for_a_turn_is_not_even_placed(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    monkeypatch.setattr(Cursor, "parse", classmethod(lambda _, token: parsed.append(token)))
    gate = Event()

    @contextmanager
    def turn() -> Iterator[None]:
        gate.wait()
        yield

    one = subscriber(worker, turn)
    waiting = gevent.spawn(one.next_chunk)
    gevent.sleep(0)
    one.stopped = True
    gate.set()
    assert waiting.get(timeout=BOUND_S) == b""
    assert not parsed


def test_of_one_address_one_catch_up_is_under_way_while_another_goes_on(worker: Worker) -> None:
    turns = Turns()
    sent: list[str] = []

    def catch_up(name: str, address: str) -> None:
        one = subscriber(worker, turns.of(address, "posts"))
        while chunk := one.next_chunk():
            sent.append(name)
            if b"event: live" in chunk:
                break

    streams = [("ann", "198.51.100.1")] * 8 + [("ben", "198.51.100.2")]
    running = [gevent.spawn(catch_up, *one) for one in streams]
    gevent.joinall(running, timeout=BOUND_S, raise_error=True)
    last = max(at for at, name in enumerate(sent) if name == "ben")
    assert last < len(sent) // 2  # it had every second turn, not every ninth


def test_a_long_id_is_read_by_a_greenlet_and_not_in_the_hubs_round(worker: Worker) -> None:
    assert len(forged()) > resuming.LONG_ID_CHARS
    assert subscriber(worker).chunk_at_once() is None
    assert subscriber(worker, last_event_id="abcd.5").chunk_at_once()


def subscriber(
    worker: Worker, turn: Callable[[], object] | None = None, last_event_id: str = ""
) -> Subscriber:
    extra = {} if turn is None else {"_turn": turn}
    return Subscriber(
        "test",
        worker.log,
        worker.backfill,
        last_event_id or forged(),
        Event(),
        lambda: "",
        **extra,  # type: ignore[arg-type]
    )


def test_pages_and_the_ring_write_a_chunk_of_the_same_size() -> None:
    assert page.PAGE_BYTES == replay.CHUNK_BYTES
