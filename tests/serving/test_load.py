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
    for streams in (1, MANY):
        with Swarm(wall.stream_url, streams).open() as swarm:
            assert_one_query_a_poll(wall, server, database_url, swarm)
            assert server.connections(database_url) <= 3


def assert_one_query_a_poll(
    wall: Gunicorn, server: Postgres | MariaDB, url: str, swarm: Swarm
) -> None:
    """As the database saw it: at least the polls within the counting, at most those around it."""

    def polls() -> float:
        return wall.metric("rowcast_polls_total")

    before = polls()
    with server.count_statements(url) as count:
        began = polls()
        swarm.run_until(lambda: polls() >= began + COUNTED_POLLS, 60, f"{COUNTED_POLLS} polls")
        within = polls() - began
    around = polls() - before
    # A poll is counted at its end; one may be under way at either.
    assert within - 1 <= len(count.queries) <= around + 1
