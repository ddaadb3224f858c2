"""Clients that vanish, never read, or are too many: they cost the others nothing."""

from collections.abc import Callable

import pytest

from tests.harness import sql
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import BOTH_PATHS, SHARED_ON_BOTH_PATHS, OpenStream, wait_caught_up
from tests.serving.watch import Site

pytestmark = pytest.mark.serving

NOTICED_S = 30.0
SHARED_WALL = {"settings": {"ROWCAST_HEARTBEAT": "600"}}
HEAVY_ROWS = 8_000
HEAVY_BODY = "x" * 1_500


@SHARED_ON_BOTH_PATHS
@pytest.mark.parametrize("leave", [Stream.close, Stream.reset], ids=["FIN", "RST"])
def test_client_gone_without_a_word_is_noticed_before_any_write(
    site: Site, open_stream: OpenStream, leave: Callable[[Stream], None]
) -> None:
    """The heartbeat is far away: the socket itself has to tell."""
    wall = site.wall
    streams = [open_stream(wall.stream_url).wait_open() for _ in range(10)]
    wait_until(lambda: wall.metric("rowcast_streams_open") == 10, NOTICED_S, "only these are open")
    for stream in streams[:7]:
        leave(stream)
    wait_until(lambda: wall.metric("rowcast_streams_open") == 3, NOTICED_S, "7 streams let go")
    post_id = wall.post("for those who stayed")
    for stream in streams[7:]:
        assert stream.wait_for_rows(1) == [post_id]


@BOTH_PATHS
def test_client_that_never_reads_is_dropped_and_harms_nobody(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_WRITE_DEADLINE": "5"})
    sql.insert_posts(sqlite_url, [HEAVY_BODY] * HEAVY_ROWS)
    wait_caught_up(wall, open_stream, HEAVY_ROWS)
    stuck = open_stream(wall.stream_url, "0", receive_buffer_bytes=4_096)
    reader = open_stream(wall.stream_url).wait_open()
    wait_until(lambda: wall.metric("rowcast_streams_open") == 2, NOTICED_S, "both streams open")
    for number in range(5):
        wall.post(str(number))
        reader.wait_for_body(str(number))
    wait_until(lambda: wall.metric("rowcast_streams_open") == 1, 60, "the stuck one dropped")
    wall.post("after the drop")
    reader.wait_for_body("after the drop")
    stuck.wait_for_end(30)
    assert 0 < len(stuck.row_ids) < HEAVY_ROWS
    again = open_stream(wall.stream_url, stuck.last_event_id).wait_open()
    again.wait_for_body("after the drop", 30)
    assert stuck.row_ids + again.row_ids == sql.post_ids(sqlite_url)
    assert "Traceback" not in wall.log(), wall.log()


@BOTH_PATHS
def test_stream_beyond_the_capacity_is_told_to_come_back(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    """Not by a status: any but 200 makes a native EventSource give up for good."""
    wall = start_wall(sqlite_url, {"ROWCAST_MAX_STREAMS": "3"})
    inside = [open_stream(wall.stream_url).wait_open() for _ in range(3)]
    for _ in range(5):
        outside = open_stream(wall.stream_url)
        outside.wait_for_end()
        assert outside.status == 200
        assert outside.headers["content-type"].startswith("text/event-stream")
        assert outside.retry is not None
        assert outside.retry > 0
        assert outside.events == []
    assert wall.metric("rowcast_rejections_total") == 5
    assert wall.get("/").status == 200
    inside[0].close()
    wait_until(lambda: wall.metric("rowcast_streams_open") == 2, NOTICED_S, "a place is free")
    newcomer = open_stream(wall.stream_url).wait_open()
    post_id = wall.post("welcome")
    for stream in [*inside[1:], newcomer]:
        assert stream.wait_for_rows(1) == [post_id]


def test_half_a_request_holds_up_nobody(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    import socket

    wall = start_wall(sqlite_url)
    with socket.create_connection(("127.0.0.1", wall.port)) as silent:
        silent.sendall(b"GET /stream HTTP/1.1\r\nHost: x")
        stream = open_stream(wall.stream_url).wait_open()
        wall.post("served")
        stream.wait_for_body("served")
