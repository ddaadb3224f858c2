"""Many streams on one worker: each gets every row, and the database does not notice them."""

from collections.abc import Callable

import pytest

from tests.harness.gunicorn import Gunicorn
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall
from tests.serving.helpers import BOTH_PATHS

pytestmark = [pytest.mark.serving, pytest.mark.load]

MANY = 1_000
COUNTED_POLLS = 15
BOUNDARY_POLLS = 2  # a poll under way when the counting begins or ends
SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)


@BOTH_PATHS
def test_thousand_streams_on_one_worker_get_every_row(start_wall: Wall, sqlite_url: str) -> None:
    wall = start_wall(sqlite_url)
    with Swarm(wall.stream_url, MANY).open() as swarm:
        assert wall.metric("rowcast_streams_open") == MANY
        ids = [wall.post(f"row {number}") for number in range(5)]
        swarm.wait_for_id(ids[-1])
        assert all(member.ids == ids for member in swarm.members)
        assert all(member.connections == 1 for member in swarm.members)
        assert wall.get("/").status == 200


@SERVERS
def test_queries_and_connections_do_not_grow_with_the_streams(
    start_wall: Wall, server_of: Callable[[str], Postgres | MariaDB], database_url: str
) -> None:
    server = server_of(database_url)
    wall = start_wall(database_url)
    seen = {}
    for streams in (1, MANY):
        with Swarm(wall.stream_url, streams).open() as swarm:
            seen[streams] = queries_per_poll(wall, server, database_url, swarm)
            assert server.connections(database_url) <= 3
    assert seen[1] == pytest.approx(1, abs=BOUNDARY_POLLS / COUNTED_POLLS)
    assert seen[MANY] == pytest.approx(1, abs=BOUNDARY_POLLS / COUNTED_POLLS)


def queries_per_poll(wall: Gunicorn, server: Postgres | MariaDB, url: str, swarm: Swarm) -> float:
    """Queries that the database saw from the server, for each poll that the worker made."""
    with server.count_statements(url) as count:
        before = wall.metric("rowcast_polls_total")

        def enough() -> bool:
            return wall.metric("rowcast_polls_total") >= before + COUNTED_POLLS

        swarm.run_until(enough, 60, f"{COUNTED_POLLS} polls")
        polls = wall.metric("rowcast_polls_total") - before
    return len(count.queries) / polls
