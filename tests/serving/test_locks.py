"""A locked table, and statements slower than the poll interval: streams wait, and lose nothing."""

import threading

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
PAGES = 20  # asked for while a post waits for the lock
RECOVERY_S = 40.0
LOCK_TABLE = {
    "postgresql": "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE",
    "mariadb": "LOCK TABLES posts WRITE",
}
UNLOCK = {"postgresql": "COMMIT", "mariadb": "UNLOCK TABLES"}
HELD_S = 0.3  # three poll intervals
PAUSE = {"postgresql": f"SELECT pg_sleep({HELD_S})", "mariadb": f"SELECT SLEEP({HELD_S})"}


@SERVERS
def test_locked_table_is_waited_for(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    """For longer than the query timeout: polls fail, the streams stay."""
    settings = {"ROWCAST_QUERY_TIMEOUT": "0.5", "ROWCAST_HEARTBEAT": "0.3"}
    wall = start_wall(database_url, settings)
    stream = open_stream(wall.stream_url).wait_open()
    dialect = sql.dialect_of(database_url)
    with sql.Transaction(database_url) as locker:
        locker.execute(LOCK_TABLE[dialect])
        locker.insert_post("under the lock")
        wait_until(lambda: wall.metric("rowcast_poll_failures_total") > 1, RECOVERY_S, "no polls")
        assert wall.get("/readyz").status == 503
        seen = stream.comments
        stream.wait_for(lambda it: it.comments >= seen + 2, what="heartbeats meanwhile")
        assert stream.events == []
        locker.commit()
        locker.execute(UNLOCK[dialect])
    stream.wait_for_body("under the lock", RECOVERY_S)
    sql.insert_posts(database_url, ["after the lock"])
    stream.wait_for_body("after the lock", RECOVERY_S)
    assert [event.type for event in stream.events] == ["message"] * 2


@SERVERS
def test_polls_that_take_longer_than_their_interval_lose_nothing(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    """Each has to wait for a lock that is held three intervals long, and has its answer then."""
    wall = start_wall(database_url)
    stream = open_stream(wall.stream_url).wait_open()
    dialect = sql.dialect_of(database_url)
    pause = PAUSE[dialect]
    for number in range(5):
        with sql.Transaction(database_url) as locker:
            locker.execute(LOCK_TABLE[dialect])
            locker.insert_post(f"{number}")
            locker.execute(pause)
            locker.commit()
            locker.execute(UNLOCK[dialect])
    assert stream.wait_for_rows(5) == sql.post_ids(database_url)
    assert [event.type for event in stream.events] == ["message"] * 5
    assert wall.metric("rowcast_poll_failures_total") == 0


@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
def test_locked_sqlite_freezes_neither_streams_nor_page(
    start_wall: Wall, sqlite_url: str, kind: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_QUERY_TIMEOUT": "30"})
    statuses: list[int] = []
    poster = threading.Thread(target=post_meanwhile, args=(wall, statuses))
    with Swarm(wall.stream_url, 50).open() as swarm:
        with sql.Transaction(sqlite_url) as locker:
            locker.execute(f"BEGIN {kind}")
            locker.insert_post("held back")
            poster.start()
            for path in ["/healthz", "/"] * PAGES:
                assert wall.get(path).status == 200
            assert statuses == [], "the post did not wait for the lock, or the pages did"
            locker.commit()
        poster.join(60)
        assert statuses in ([201], [503]), "the post waited for the lock, or was told to come back"
        ids = sql.post_ids(sqlite_url)
        assert len(ids) == 1 + statuses.count(201)
        swarm.wait_for_id(ids[-1])
        assert all(member.ids == ids for member in swarm.members)
        assert all(member.connections == 1 for member in swarm.members)


def post_meanwhile(wall: Gunicorn, statuses: list[int]) -> None:
    body = b'{"author": "a", "body": "b"}'
    headers = {"Content-Type": "application/json"}
    statuses.append(request(f"{wall.url}/posts", "POST", body, headers, 60).status)
