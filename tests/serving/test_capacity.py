"""How many streams a real worker takes, from how many places, and that it says so."""

import socket
from contextlib import ExitStack

import psutil
import pytest

from poller.access.capacity import Capacity
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

SOON_S = 30.0


def test_an_address_at_its_cap_is_told_to_come_back(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    settings = {"ROWCAST_PROXIES": "1", "ROWCAST_MAX_STREAMS_PER_ADDRESS": "2"}
    wall = start_wall(sqlite_url, settings)

    def from_address(address: str) -> Stream:
        return open_stream(wall.stream_url, headers={"X-Forwarded-For": address})

    household = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::1"]
    inside = [from_address(address).wait_open() for address in household]
    outside = from_address("2001:db8:1:2::3")
    outside.wait_for_end()
    assert outside.status == 200  # any other makes a native EventSource give up for good
    assert outside.headers["content-type"].startswith("text/event-stream")
    assert outside.retry is not None
    assert 5_000 <= outside.retry <= 15_000
    assert outside.events == []

    others = ["2001:db8:1:3::1", "198.51.100.1", "::ffff:198.51.100.1", "198.51.100.2"]
    inside += [from_address(address).wait_open() for address in others]
    from_address("::ffff:198.51.100.1").wait_for_end()
    assert wall.metric("rowcast_rejections_total") == 2
    assert 'reason="address"' in wall.get("/metrics").text
    assert "address='2001:db8:1:2::/64'" in wall.log()

    inside.pop(0).close()
    wait_until(lambda: wall.metric("rowcast_streams_open") == 5, SOON_S, "a place is free")
    inside.append(from_address("2001:db8:1:2::3").wait_open())
    post_id = wall.post("for everybody inside")
    for stream in inside:
        assert stream.wait_for_rows(1) == [post_id]


def test_behind_a_proxy_that_was_not_configured_all_are_let_in(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_MAX_STREAMS_PER_ADDRESS": "1"})
    for number in range(3):
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        open_stream(wall.stream_url, headers=headers).wait_open()
    assert wall.metric("rowcast_streams_open") == 3


@pytest.mark.parametrize("open_files", [256, 1024])
def test_under_a_low_limit_of_open_files_what_was_said_to_fit_fits(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str, open_files: int
) -> None:
    room = Capacity.within(open_files)
    wall = start_wall(sqlite_url, open_files=open_files)
    assert f"streams={room.streams} wanted=20000 open_files={open_files}" in wall.log()
    with Swarm(wall.stream_url, room.streams).open() as swarm, ExitStack() as stack:
        address = ("127.0.0.1", wall.port)
        for _ in range(room.pages - 1):  # and nearly as many pages as fit beside them
            stack.enter_context(socket.create_connection(address)).sendall(b"GET / HTTP/1.1\r\n")
        outside = open_stream(wall.stream_url)
        outside.wait_for_end()
        assert outside.retry is not None
        assert outside.retry >= 5_000
        assert wall.metric("rowcast_streams_open") == room.streams
        post_id = wall.post("everybody")
        swarm.wait_for_id(post_id)
        assert psutil.Process(wall.worker_pids()[0]).num_fds() < open_files
    assert "Too many open files" not in wall.log()


def test_a_limit_that_suffices_for_what_is_configured_is_no_warning(
    start_wall: Wall, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_MAX_STREAMS": "3000"}, open_files=4096)
    assert "room for streams streams=3000 open_files=4096" in wall.log()
