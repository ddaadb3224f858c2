"""Clients that stall, flood, babble or break off: what they cost ends, and others do not notice."""

import socket
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from poller.access.admission import FEWEST_PER_ADDRESS
from poller.access.capacity import Capacity
from tests.harness import raw, sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.sse import Stream, timeless
from tests.serving.conftest import Wall
from tests.serving.helpers import BOTH_PATHS, KEPT_DESCRIPTORS, SHARED_ON_BOTH_PATHS, OpenStream
from tests.serving.watch import Site
from wall.draft import BODY_DEADLINE_S

pytestmark = pytest.mark.serving

SETTLED_S = 30.0
SLOW = 200  # slow clients at once
SILENT = 3_000  # connections that say nothing, beyond the listen backlog
# No heartbeat comes, so no write can tell what happened.
SHARED_WALL = {"settings": {"ROWCAST_HEARTBEAT": "600"}}
HALF_A_HEAD = b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HALF_A_POST = (
    b"POST /posts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 60000\r\n\r\n{"author": "'
)
CHUNKED_POST = (
    b"POST /posts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
SECOND_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
GARBAGE = bytes(range(256)) * 16
ENDLESS_BYTES = 256 * 2**20
MEMORY_SPARE_BYTES = 32 * 2**20
CPU_SPARE_S = 2.0
LARGE_ROWS = 3_000
LARGE_BODY = "x" * 1_900


@BOTH_PATHS
def test_slow_heads_are_ended_and_hold_up_nobody(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    """gunicorn's `keepalive` is the deadline of a whole head, of the first one, too."""
    wall = start_wall(sqlite_url)
    stream = open_stream(wall.stream_url).wait_open()
    with raw.connections(wall.port, SLOW, HALF_A_HEAD) as slow:
        assert_all_served(wall, stream)
        assert set(raw.answers(slow, SETTLED_S, drip=b"x")) == {b""}
    assert wall.metric("rowcast_streams_open") == 1


def test_slow_bodies_are_ended_and_hold_up_nobody(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url)
    stream = open_stream(wall.stream_url).wait_open()
    with raw.connections(wall.port, SLOW, HALF_A_POST) as slow:
        assert_all_served(wall, stream)
        refused = raw.answers(slow, BODY_DEADLINE_S + SETTLED_S, drip=b"x")
    # Who was still talking when the server closed gets a reset, and may lose the answer to it.
    assert {answer[:12] for answer in refused if answer} == {b"HTTP/1.1 408"}
    assert sql.post_ids(sqlite_url) == stream.row_ids


def test_half_sent_bodies_of_one_address_leave_places_for_the_others(
    start_wall: Wall, sqlite_url: str
) -> None:
    """Of a worker that is small: 31 places for pages, of which one address may hold 20."""
    wall = start_wall(sqlite_url, app="tests.serving.counted_app:app", open_files=256)
    places, share = Capacity.within(256).pages, FEWEST_PER_ADDRESS
    assert share < places
    with raw.connections(wall.port, places, HALF_A_POST, source="127.0.0.2") as slow:
        above = places - share
        wait_until(lambda: len(ended(slow)) >= above, SETTLED_S, "those above it are closed")
        assert wall.get("/healthz").status == 200
        assert len(ended(slow)) == above
    assert "an address has all that it may have of='connections'" in wall.log()
    with raw.connections(wall.port, 1, SECOND_REQUEST, source="127.0.0.2") as again:
        assert raw.answers(again, SETTLED_S)[0].startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"-1\r\n\r\n", b"5\r\nabcdeXY", b"4;\x01\r\n{}{}\r\n"]
)
@pytest.mark.parametrize("kind", [b"application/json", b"application/x-www-form-urlencoded"])
def test_malformed_chunks_are_a_400_without_a_traceback(
    any_wall: Gunicorn, chunks: bytes, kind: bytes
) -> None:
    with raw.connections(any_wall.port, 1, CHUNKED_POST % kind + chunks) as clients:
        (answer,) = raw.answers(clients, SETTLED_S)
    assert answer.startswith(b"HTTP/1.1 400")
    assert "Traceback" not in any_wall.log(), any_wall.log()


@BOTH_PATHS
def test_flood_of_silent_connections_passes(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url)
    worker = wall.only_worker_process()
    stream = open_stream(wall.stream_url).wait_open()
    descriptors = worker.num_fds()
    with raw.connections(wall.port, SILENT) as silent:
        assert_all_served(wall, stream)
        raw.answers(silent, SETTLED_S)
    wait_until(
        lambda: worker.num_fds() <= descriptors + KEPT_DESCRIPTORS,
        SETTLED_S,
        "their descriptors are free",
    )
    assert wall.only_worker_process() == worker


@SHARED_ON_BOTH_PATHS
def test_reset_before_the_answer_leaves_no_stream(site: Site) -> None:
    wall = site.wall
    for _ in range(50):
        Stream(wall.stream_url).reset()
    assert wall.get("/healthz").status == 200
    wait_until(lambda: no_stream(wall), SETTLED_S, "none is counted")
    assert "Traceback" not in wall.log(), wall.log()


@SHARED_ON_BOTH_PATHS
def test_reset_within_a_frame_costs_no_row(site: Site, open_stream: OpenStream) -> None:
    wall = site.wall
    reader = open_stream(wall.stream_url).wait_open()
    received, last_event_id = list[int](), reader.last_event_id
    site.insert(*[LARGE_BODY] * LARGE_ROWS)
    for _ in range(4):
        stream = open_stream(wall.stream_url, last_event_id, receive_buffer_bytes=8_192)
        stream.wait_for_rows(LARGE_ROWS // 10)
        stream.wait_for(lambda it: not it.response.parser.at_rest, what="half a frame")
        received += stream.row_ids
        last_event_id = stream.last_event_id
        stream.reset()
    rest = open_stream(wall.stream_url, last_event_id).wait_open()
    rest.wait_for_rows(LARGE_ROWS - len(received))
    ids = sql.post_ids(site.url)[-LARGE_ROWS:]
    assert received + rest.row_ids == ids
    assert reader.wait_for_rows(LARGE_ROWS) == ids
    for stream in (rest, reader):
        stream.close()
    wait_until(lambda: no_stream(wall), SETTLED_S, "all are let go")
    assert "Traceback" not in wall.log(), wall.log()


@SHARED_ON_BOTH_PATHS
def test_live_stream_that_is_read_late_gets_every_byte(site: Site, open_stream: OpenStream) -> None:
    """Batches that its buffers cannot take: what of one was written is not written again, and
    what was not is not forgotten."""
    wall = site.wall
    late = open_stream(wall.stream_url, receive_buffer_bytes=8_192).wait_open()
    reader = open_stream(wall.stream_url).wait_open()
    for number in range(1, 11):
        site.insert(*[LARGE_BODY] * (LARGE_ROWS // 10))
        reader.wait_for_rows(number * LARGE_ROWS // 10)
    assert late.row_ids == []
    late.wait_for_rows(LARGE_ROWS, 60)
    assert timeless(late.raw.decode()) == timeless(reader.raw.decode())


@SHARED_ON_BOTH_PATHS
@pytest.mark.parametrize("said", [SECOND_REQUEST, GARBAGE], ids=["request", "garbage"])
@pytest.mark.parametrize("when", ["with the request", "in the stream"])
def test_bytes_behind_the_request_get_no_answer_and_hide_no_end(
    site: Site, open_stream: OpenStream, said: bytes, when: str
) -> None:
    wall = site.wall
    behind, later = (said, b"") if when == "with the request" else (b"", said)
    stream = open_stream(wall.stream_url, behind=behind).wait_open()
    stream.send(later)
    ids = [wall.post("one"), wall.post("two")]
    assert stream.wait_for_rows(2) == ids
    assert stream.response.parser.ignored == []
    assert stream.response.parser.at_rest
    assert b"HTTP/" not in stream.raw
    stream.close()
    wait_until(lambda: no_stream(wall), SETTLED_S, "its end is noticed")


@SHARED_ON_BOTH_PATHS
def test_client_that_babbles_without_end_is_dropped(site: Site, open_stream: OpenStream) -> None:
    wall = site.wall
    worker = wall.only_worker_process()
    quiet = open_stream(wall.stream_url).wait_open()
    memory, cpu_s = worker.memory_info().rss, sum(worker.cpu_times()[:2])
    babbling = open_stream(wall.stream_url).wait_open()
    with pytest.raises(ConnectionError):
        say_without_end(babbling.send, GARBAGE)
    wait_until(lambda: wall.metric("rowcast_streams_open") == 1, SETTLED_S, "it is dropped")
    assert worker.memory_info().rss - memory < MEMORY_SPARE_BYTES
    assert sum(worker.cpu_times()[:2]) - cpu_s < CPU_SPARE_S
    assert_all_served(wall, quiet)


@SHARED_ON_BOTH_PATHS
def test_client_that_closes_its_sending_side_counts_as_gone(
    site: Site, open_stream: OpenStream
) -> None:
    """It looks just like one that vanished. It gets what was sent, an orderly end, and may resume:
    a browser's EventSource never does this."""
    wall = site.wall
    stream = open_stream(wall.stream_url).wait_open()
    first = wall.post("before")
    stream.wait_for_rows(1)
    stream.half_close()
    stream.wait_for_end()
    assert stream.ended_whole
    wait_until(lambda: no_stream(wall), SETTLED_S, "its end is noticed")
    second = wall.post("after")
    again = open_stream(wall.stream_url, stream.last_event_id).wait_open()
    assert stream.row_ids + again.wait_for_rows(1) == [first, second]


def test_client_that_asks_for_pages_and_reads_none_is_dropped(
    start_wall: Wall, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_WRITE_DEADLINE": "1"})
    worker = wall.only_worker_process()
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        greedy.settimeout(SETTLED_S)
        greedy.connect(("127.0.0.1", wall.port))
        port = greedy.getsockname()[1]
        with pytest.raises(ConnectionError):
            say_without_end(greedy.sendall, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
        wait_until(
            lambda: all(one.raddr.port != port for one in connected(worker)),
            SETTLED_S,
            "the connection is gone",
        )
    assert "Traceback" not in wall.log(), wall.log()


def ended(clients: list[socket.socket]) -> list[socket.socket]:
    """Those whose connection the server closed."""
    return [one for one in clients if not still_open(one)]


def still_open(client: socket.socket) -> bool:
    try:
        return client.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def assert_all_served(wall: Gunicorn, stream: Stream) -> None:
    """Page, health, post and stream."""
    assert wall.get("/").status == 200
    assert wall.get("/healthz").status == 200
    post_id = wall.post("for all")
    stream.wait_for(lambda it: post_id in it.row_ids, what=f"row {post_id}")


def say_without_end(send: Callable[[bytes], None], said: bytes) -> None:
    for _ in range(ENDLESS_BYTES // len(said)):
        send(said)


def connected(worker: psutil.Process) -> list[Any]:
    return [one for one in worker.net_connections("tcp") if one.status == "ESTABLISHED"]


def no_stream(wall: Gunicorn) -> bool:
    return wall.metric("rowcast_streams_open") == 0
