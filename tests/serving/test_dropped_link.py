"""Clients whose network is gone: no FIN and no RST tells of it, and nothing acknowledges a byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import EXERCISED
from tests.harness import sql
from tests.harness.machines import SERVER_ADDRESS, TwoMachines, two_machines
from tests.harness.process import PartMissing, wait_until
from tests.serving.conftest import Wall
from tests.serving.helpers import BOTH_PATHS, KEPT_DESCRIPTORS, OpenStream

pytestmark = pytest.mark.serving

SETTLED_S = 30.0
DEADLINE_S = 1
FAR_AWAY = 40
ROWS = 300
BODY = "x" * 1_900
MEMORY_SPARE_BYTES = 8 * 2**20  # the first round is for the allocator to grow


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[TwoMachines]:
    try:
        with two_machines(tmp_path) as both:
            yield both
    except PartMissing as reason:
        EXERCISED.skip("a link that can be cut", str(reason))


@BOTH_PATHS
def test_clients_behind_a_dead_link_are_dropped_and_resume(
    start_wall: Wall, open_stream: OpenStream, machines: TwoMachines, sqlite_url: str
) -> None:
    settings = {
        "HOST": SERVER_ADDRESS,
        "ROWCAST_WRITE_DEADLINE": str(DEADLINE_S),
        "ROWCAST_HEARTBEAT": "0.3",
    }
    with machines.server.inside():
        wall = start_wall(sqlite_url, settings)
        near = open_stream(wall.stream_url).wait_open()
        worker = wall.only_worker_process()
        descriptors = worker.num_fds()
    received: dict[int, list[int]] = {number: [] for number in range(FAR_AWAY)}
    last_event_ids = dict.fromkeys(received, "0")
    memory = []
    for rows in (0, ROWS, 2 * ROWS):
        for number, last_event_id in last_event_ids.items():
            with machines.client.inside():
                far = open_stream(wall.stream_url, last_event_id).wait_open()
            far.wait_for_rows(rows - len(received[number]), SETTLED_S)
            received[number] += far.row_ids
            last_event_ids[number] = far.last_event_id
        machines.cut_cable()
        with machines.server.inside():
            sql.insert_posts(sqlite_url, [BODY] * ROWS)
            near.wait_for_rows(rows + ROWS)
            wait_until(lambda: wall.metric("rowcast_streams_open") == 1, SETTLED_S, "all dropped")
            wait_until(
                lambda: worker.num_fds() <= descriptors + KEPT_DESCRIPTORS,
                SETTLED_S,
                "their descriptors",
            )
            memory.append(worker.memory_info().rss)
        machines.mend_cable()
    assert all(ids == near.row_ids[: 2 * ROWS] for ids in received.values())
    assert memory[2] - memory[1] < MEMORY_SPARE_BYTES, "those dropped left something behind"
    assert "Traceback" not in wall.log(), wall.log()
