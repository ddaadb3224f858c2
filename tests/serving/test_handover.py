"""The connection is really taken over from a real gunicorn, and nobody else writes into it."""

import pytest

from tests.harness.process import wait_until
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving


def taken_over(stream_headers: dict[str, str]) -> bool:
    """Whether our own socket serves it: the connection then ends with the body."""
    return stream_headers["connection"] == "close"


def test_streams_are_taken_over_from_gunicorn_by_default(
    start_wall: Wall, sqlite_url: str, open_stream: OpenStream
) -> None:
    wall = start_wall(sqlite_url)
    stream = open_stream(wall.stream_url).wait_open()
    assert taken_over(stream.headers), (
        "gunicorn has changed, so that streams are served with a greenlet each: "
        "see poller/serving/handover.py"
    )


def test_without_the_fanout_the_server_writes(
    start_wall: Wall, sqlite_url: str, open_stream: OpenStream
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_FANOUT": "false"})
    stream = open_stream(wall.stream_url).wait_open()
    assert not taken_over(stream.headers)
    wall.post("a row")
    stream.wait_for_body("a row")


def test_under_another_worker_the_response_is_served_as_ever(
    start_wall: Wall, sqlite_url: str, open_stream: OpenStream
) -> None:
    kind = "gunicorn.workers.ggevent.GeventPyWSGIWorker"
    wall = start_wall(sqlite_url, options=["--worker-class", kind])
    stream = open_stream(wall.stream_url).wait_open()
    wall.post("a row")
    stream.wait_for_body("a row")
    assert "Traceback" not in wall.log()


def test_the_access_log_has_one_line_for_a_stream_and_ours_has_two(
    start_wall: Wall, sqlite_url: str, open_stream: OpenStream
) -> None:
    debug = {"ROWCAST_LOG_LEVEL": "debug"}
    wall = start_wall(sqlite_url, settings=debug, options=["--access-logfile", "-"])
    stream = open_stream(wall.stream_url).wait_open()
    wall.post("a row")
    stream.wait_for_body("a row")
    stream.close()
    wait_until(lambda: " stream closed feed=" in wall.log(), 30, "the stream's last line")
    lines = wall.log().splitlines()
    assert len([line for line in lines if '"GET /stream HTTP/1.1" 200' in line]) == 1
    assert len([line for line in lines if " stream opened feed=" in line]) == 1
    (closed,) = [line for line in lines if " stream closed feed=" in line]
    for told in ("feed='posts'", "client='127.0.0.1'", "reason='client gone'", "rows=1", "bytes="):
        assert told in closed
