"""File descriptors that run out: streams that are open go on, and nothing needs a restart."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from poller.access.capacity import Capacity
from tests.harness import raw, sql
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import BOTH_PATHS, OpenStream

pytestmark = pytest.mark.serving

SETTLED_S = 30.0
FEW = 700  # descriptors of a worker
PLACES = Capacity.within(FEW).streams
FLOOD = FEW - PLACES  # connections that say nothing: with the streams, more than descriptors
SPARE = 20


@BOTH_PATHS
def test_with_few_descriptors_a_flood_costs_no_row(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, open_files=FEW)
    worker = wall.only_worker_process()
    inside = [open_stream(wall.stream_url).wait_open() for _ in range(PLACES)]
    outside = open_stream(wall.stream_url)
    outside.wait_for_end()
    assert (outside.status, outside.events) == (200, [])
    assert outside.retry
    with raw.connections(wall.port, FLOOD) as silent:
        sql.insert_posts(sqlite_url, ["during the flood"])
        for stream in inside:
            stream.wait_for_body("during the flood")
        raw.answers(silent, SETTLED_S)
    assert wall.get("/healthz").status == 200
    inside[0].close()
    wait_until(lambda: wall.metric("rowcast_streams_open") == PLACES - 1, SETTLED_S, "a free place")
    newcomer = open_stream(wall.stream_url).wait_open()
    wall.post("after the flood")
    for stream in [*inside[1:], newcomer]:
        stream.wait_for_body("after the flood")
    assert wall.only_worker_process() == worker
    assert "Too many open files" not in wall.log(), wall.log()


@BOTH_PATHS
def test_streams_go_on_while_no_descriptor_is_left(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    """EMFILE itself: somebody took the descriptors that were reckoned with at the start."""
    wall = start_wall(sqlite_url)
    worker = wall.only_worker_process()
    early = [open_stream(wall.stream_url).wait_open() for _ in range(10)]
    with descriptors_limited(worker, worker.num_fds() + SPARE):
        with raw.connections(wall.port, 3 * SPARE) as silent:
            wait_until(lambda: "Too many open files" in wall.log(), SETTLED_S, "none is left")
            sql.insert_posts(sqlite_url, ["without descriptors"])
            for stream in early:
                stream.wait_for_body("without descriptors")
            raw.answers(silent, 2 * SETTLED_S)
        wait_until(lambda: wall.get("/healthz").status == 200, SETTLED_S, "it answers again")
        late = [open_stream(wall.stream_url) for _ in range(2 * SPARE)]
        for stream in late[: SPARE // 4]:
            stream.wait_open()
    # Those for whom there was no room wait, or were told when to come back.
    for stream in late:
        stream.wait_for(opened_or_sent_away, SETTLED_S)
    wall.post("with descriptors")
    for stream in [*early, *(one for one in late if one.last_event_id)]:
        stream.wait_for_body("with descriptors")
    assert wall.only_worker_process() == worker


def opened_or_sent_away(stream: Stream) -> bool:
    assert stream.status in (None, 200)
    return bool(stream.last_event_id or stream.retry)


@contextmanager
def descriptors_limited(process: psutil.Process, count: int) -> Iterator[None]:
    """Inside, a process that runs has only so many descriptors, those in use included."""
    before = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, before)
