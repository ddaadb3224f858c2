"""Old rows are deleted while others read: nobody has to load anew."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest
from click.testing import CliRunner

from models.post import create_tables
from poller import Database
from poller.__main__ import main
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall

pytestmark = pytest.mark.serving

OLD, YOUNG, WINDOW = 10_000, 150, 200
READERS = {"new": 33, "changes": 33, "newest": 34}
BOUND_S = 60.0


def fill(url: str) -> None:
    """As the wall makes its table."""
    database = Database(url)
    create_tables(database)
    database.close()
    mark = "?" if sql.dialect_of(url) == "sqlite" else "%s"
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        cursor.executemany(
            f"INSERT INTO posts (author, body, created_at) VALUES ('ann', {mark}, '2001-02-03')",
            [(f"row {number}",) for number in range(OLD)],
        )
    sql.insert_posts(url, ["young"] * YOUNG)


def prune(url: str) -> str:
    arguments = ["prune", url, "posts", "--keep", "90d", "--by", "created_at", "--yes"]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_ten_thousand_posts_go_while_a_hundred_read(start_wall: Wall, database_url: str) -> None:
    fill(database_url)
    env = {"ROWCAST_POST_RATE": ""}
    served: Gunicorn = start_wall(database_url, env, app="tests.serving.pruned_app:app")
    with ExitStack() as stack:
        swarms = {
            name: stack.enter_context(Swarm(f"{served.url}/stream/{name}", count)).open(BOUND_S)
            for name, count in READERS.items()
        }
        assert f"{OLD:,} rows deleted" in prune(database_url)
        newest = sql.post_ids(database_url)
        assert len(newest) == YOUNG
        sql.insert_posts(database_url, ["the last"])
        last = sql.post_ids(database_url)[-1]
        for swarm in swarms.values():
            swarm.wait_for_id(last, BOUND_S)
            assert [member.resets for member in swarm.members] == [0] * len(swarm.members)
            assert {member.connections for member in swarm.members} == {1}
        left = {*range(newest[0] - (WINDOW - YOUNG), newest[0])}
        by_window = swarms["newest"]
        by_window.run_until(
            lambda: all({*one.deleted} == left for one in by_window.members), BOUND_S, "the deletes"
        )
