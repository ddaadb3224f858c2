"""One stream of a feed by window: where its client is placed, and what it is sent."""

import json
from collections.abc import Sequence

import pytest

from poller.window import course
from poller.window import log as window_log
from poller.window.subscriber import WindowSubscriber
from poller.window.token import EMPTY
from poller.wire import frames, notices, row
from tests.harness.windows import SimulatedQuery, WindowClient, WindowWorker


@pytest.fixture
def query() -> SimulatedQuery:
    return query_with(6)


def query_with(rows: int, size: int = 4) -> SimulatedQuery:
    query = SimulatedQuery(size)
    query.rows = {number: (number, 0) for number in range(1, rows + 1)}
    return query


def looked(query: SimulatedQuery, **capacity: int) -> WindowWorker:
    worker = WindowWorker(query, **capacity)
    worker.look()
    return worker


def kinds(events: Sequence[frames.Event]) -> list[object]:
    """Rows by their ids, deletions by the negative ones, other events by their names."""
    told: list[object] = []
    for event in events:
        data = json.loads(event.data)
        sign = {frames.ROW: 1, row.DELETE_EVENT: -1}.get(event.kind)
        told.append(event.kind if sign is None else sign * data["id"])
    return told


def taken(stream: WindowSubscriber) -> list[object]:
    return kinds([*frames.events(b"".join(iter(stream.next_chunk, b"")))])


def level(worker: WindowWorker) -> WindowClient:
    """A client that has everything."""
    client = WindowClient()
    client.connect(worker)
    client.pull()
    client.taken.clear()
    return client


def test_a_client_without_a_token_gets_clear_and_all_rows_the_newest_first(
    query: SimulatedQuery,
) -> None:
    worker = looked(query)
    assert taken(worker.subscribe()) == ["start", "clear", 6, 5, 4, 3, "live"]
    assert taken(worker.subscribe("no id of ours")) == ["start", "clear", 6, 5, 4, 3, "live"]


def test_start_has_no_id_before_a_clear_and_says_the_key(query: SimulatedQuery) -> None:
    first, second = [*frames.events(looked(query).subscribe().next_chunk())][:2]
    assert json.loads(first.data) == {"feed": "test", "resumed": False, "key": ["id"]}
    assert first.id == ""
    assert second.id.endswith(".0.AAAAAAAAAAA")


def test_a_client_from_the_beginning_holds_nothing_and_needs_no_clear(
    query: SimulatedQuery,
) -> None:
    assert taken(looked(query).subscribe("0")) == ["start", 6, 5, 4, 3, "live"]


def test_an_empty_window_is_cleared_and_live(query: SimulatedQuery) -> None:
    query.rows.clear()
    assert taken(looked(query).subscribe()) == ["start", "clear", "live"]


def test_live_clients_get_deletions_first_and_then_rows_the_oldest_first(
    query: SimulatedQuery,
) -> None:
    worker = looked(query)
    client = level(worker)
    query.rows |= {7: (7, 0), 8: (8, 0), 5: (5, 1)}
    worker.look()
    client.pull()
    assert kinds(client.taken) == [-4, -3, 5, 7, 8]
    assert client.held == query.window()


def test_a_client_that_was_away_gets_just_the_changes_it_missed(query: SimulatedQuery) -> None:
    worker = looked(query)
    client = level(worker)
    client.drop()
    for number in (7, 8):
        query.rows[number] = (number, 0)
        worker.look()
    client.connect(worker)
    client.pull()
    assert kinds(client.taken) == ["start", -3, 7, -4, 8, "live"]


def test_a_restart_with_nothing_changed_sends_no_row(query: SimulatedQuery) -> None:
    client = level(looked(query))
    client.connect(looked(query))
    client.pull()
    assert kinds(client.taken) == ["start", "live"]


def test_after_a_restart_inserts_cost_the_inserts(query: SimulatedQuery) -> None:
    client = level(looked(query))
    query.rows[7] = (7, 0)
    worker = looked(query)
    client.connect(worker)
    client.pull()
    assert client.taken == []  # it waits for a look that begins after it came
    worker.look()
    client.pull()
    assert kinds(client.taken) == ["start", -3, 7, "live"]
    assert client.held == query.window()


def test_after_a_restart_and_a_change_the_window_is_sent_again(query: SimulatedQuery) -> None:
    client = level(looked(query))
    query.rows[4] = (4, 1)
    worker = looked(query)
    client.connect(worker)
    worker.look()
    client.pull()
    assert kinds(client.taken) == ["start", "clear", 6, 5, 4, 3, "live"]


def test_a_lagging_worker_sends_no_old_rows_back(query: SimulatedQuery) -> None:
    lagging, quick = looked(query), looked(query)
    query.rows[7] = (7, 0)
    quick.look()
    client = level(quick)
    client.connect(lagging)
    client.pull()
    assert client.taken == []
    lagging.look()
    client.pull()
    assert kinds(client.taken) == ["start", "live"]


def test_a_snapshot_that_was_cut_goes_on_where_it_was(query: SimulatedQuery) -> None:
    client = WindowClient()
    client.connect(looked(query))
    client.pull(4)  # start, clear, 6, 5
    restarted = looked(query)
    client.connect(restarted)
    restarted.look()
    client.pull()
    assert kinds(client.taken) == ["start", "clear", 6, 5, "start", 4, 3, "live"]


def test_a_client_too_slow_for_the_ring_is_placed_again(query: SimulatedQuery) -> None:
    worker = looked(query, capacity_rows=2)
    client = level(worker)
    for number in range(7, 10):
        query.rows[number] = (number, 0)
        worker.look()
    client.pull()
    assert "clear" not in kinds(client.taken)  # what it holds is a run of rows
    assert client.held == query.window()
    for number in query.rows:
        query.rows[number] = (number, 1)
    worker.look()
    client.pull()
    assert client.held == query.window()
    assert "clear" in kinds(client.taken)


def test_a_client_in_a_snapshot_goes_on_with_it_while_newer_looks_come(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "CHUNK_BYTES", 1)
    worker = looked(query)
    stream, client = worker.subscribe(), WindowClient()
    for number in range(4):
        for event in frames.events(stream.next_chunk()):
            client.apply(event)
        query.rows[6] = (6, number + 1)
        worker.look()
    client.stream = stream
    client.pull()
    assert kinds(client.taken).count("clear") == 1
    assert client.held == query.window()


def test_too_many_old_pictures_are_given_up_and_their_clients_placed_again(
    query: SimulatedQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "CHUNK_BYTES", 1)
    monkeypatch.setattr(window_log, "COURSES_KEPT", 2)
    worker, clients = looked(query), []
    for number in range(6):
        client = WindowClient()
        client.stream = worker.subscribe()
        for _ in range(2):
            for event in frames.events(client.stream.next_chunk()):
                client.apply(event)
        clients.append(client)
        query.rows[6] = (6, number + 1)
        worker.look()
    for client in clients:
        client.pull()
        assert client.held == query.window()
    assert [kinds(client.taken).count("clear") for client in clients] == [2, 2, 2, 2, 1, 1]


def test_one_who_wants_only_news_gets_nothing_of_what_is_there(query: SimulatedQuery) -> None:
    worker = looked(query)
    stream = worker.subscribe(only_news=True)
    assert taken(stream) == ["start", "live"]
    query.rows[7] = (7, 0)
    worker.look()
    assert taken(stream) == [-3, 7]


def test_while_nothing_was_looked_at_a_client_is_told_why(query: SimulatedQuery) -> None:
    worker = WindowWorker(query)
    stream = worker.subscribe()
    assert stream.next_chunk() == notices.waiting("not yet")
    assert stream.next_chunk() == b""
    worker.look()
    assert taken(stream)[:2] == ["start", "clear"]


def test_where_nobody_listened_a_client_waits_for_a_look(query: SimulatedQuery) -> None:
    worker = looked(query)
    worker.listening = False
    assert worker.looker.once() is None
    query.rows[7] = (7, 0)
    stream = worker.subscribe()
    assert stream.next_chunk() == b""
    assert stream._signal in worker.log._awaiting_pass
    worker.look()
    assert taken(stream) == ["start", "clear", 7, 6, 5, 4, "live"]


def test_what_many_clients_get_is_framed_once(query: SimulatedQuery) -> None:
    worker = looked(query)
    chunks = [worker.subscribe().next_chunk() for _ in range(100)]
    body = worker.log.course(worker.log.views.everything, None).chunk(0)[0]
    assert all(chunk.endswith(body) for chunk in chunks)
    assert worker.log.course(worker.log.views.everything, None).chunk(0)[0] is body
    streams = [level(worker).stream for _ in range(100)]
    query.rows[7] = (7, 0)
    worker.look()
    news = [stream.next_chunk() for stream in streams if stream is not None]
    assert len({id(one) for one in news}) == 1 or len({*news}) == 1


def test_a_stopped_stream_gets_nothing(query: SimulatedQuery) -> None:
    stream = looked(query).subscribe()
    stream.stopped = True
    assert stream.next_chunk() == b""


def test_chunks_are_bounded() -> None:
    query = query_with(3000, size=3000)
    stream = looked(query).subscribe()
    sizes = [len(chunk) for chunk in iter(stream.next_chunk, b"")]
    assert len(sizes) > 2
    assert max(sizes) < 2 * course.CHUNK_BYTES


def test_rows_are_counted(query: SimulatedQuery) -> None:
    stream = looked(query).subscribe("0")
    taken(stream)
    assert stream.rows == 4
    assert EMPTY.rows == 0
