"""The database absent, restarted or hung: streams stay open and lose nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream, ready

pytestmark = pytest.mark.serving

ServerOf = Callable[[str], Postgres | MariaDB]
RECOVERY_S = 40.0  # the backoff's cap, and time to start
SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)


@SERVERS
def test_server_absent_at_start_is_waited_for(
    start_gunicorn: Callable[..., Gunicorn],
    open_stream: OpenStream,
    server_of: ServerOf,
    database_url: str,
) -> None:
    server = server_of(database_url)
    server.stop()
    wall = start_gunicorn({"DATABASE_URL": database_url, "ROWCAST_HEARTBEAT": "0.3"})
    stream = assert_alive_without_database(wall, open_stream)
    server.start()
    assert_recovers(wall, stream)


def test_sqlite_folder_absent_at_start_is_waited_for(
    start_gunicorn: Callable[..., Gunicorn], open_stream: OpenStream, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    url = f"sqlite:///{folder / 'rowcast.sqlite3'}"
    wall = start_gunicorn({"DATABASE_URL": url, "ROWCAST_HEARTBEAT": "0.3"})
    stream = assert_alive_without_database(wall, open_stream)
    folder.mkdir()
    assert_recovers(wall, stream)


def assert_alive_without_database(wall: Gunicorn, open_stream: OpenStream) -> Stream:
    """The process is well, says that it is not ready, and keeps who comes."""
    stream = open_stream(wall.stream_url)
    stream.wait_for(lambda it: it.comments >= 2, what="heartbeats without a database")
    assert stream.status == 200
    assert stream.retry is not None
    reply = wall.get("/readyz")
    assert reply.status == 503
    assert isinstance(reply.json, dict)
    assert wall.get("/healthz").status == 200
    page = wall.get("/")
    assert page.status in (200, 503)
    assert "database" in page.text.lower()
    return stream


def assert_recovers(wall: Gunicorn, stream: Stream) -> None:
    wait_until(lambda: ready(wall), RECOVERY_S, "ready once the database is there")
    stream.wait_open(RECOVERY_S)
    post_id = wall.post("at last")
    assert stream.wait_for_rows(1) == [post_id]
    assert stream.of_type("reset") == []


@SERVERS
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_under_open_streams_costs_no_row(
    start_wall: Wall,
    open_stream: OpenStream,
    server_of: ServerOf,
    database_url: str,
    mode: str,
) -> None:
    server = server_of(database_url)
    wall = start_wall(database_url, workers=2)
    streams = [open_stream(wall.stream_url).wait_open() for _ in range(5)]
    sql.insert_posts(database_url, ["before"] * 3)
    for stream in streams:
        stream.wait_for_rows(3)
    server.restart("fast" if mode == "fast" else "immediate")
    sql.insert_posts(database_url, ["after"] * 3)
    ids = sql.post_ids(database_url)
    assert len(ids) == 6
    for stream in streams:
        assert stream.wait_for_rows(6, RECOVERY_S) == ids
        assert stream.of_type("reset") == []
    wait_until(lambda: ready(wall), RECOVERY_S, "ready again")


@SERVERS
def test_hung_server_freezes_nobody_and_is_got_over(
    start_wall: Wall, open_stream: OpenStream, server_of: ServerOf, database_url: str
) -> None:
    server = server_of(database_url)
    settings = {"ROWCAST_QUERY_TIMEOUT": "1", "ROWCAST_HEARTBEAT": "0.3"}
    wall = start_wall(database_url, settings)
    stream = open_stream(wall.stream_url).wait_open()
    server.freeze()
    try:
        seen = stream.comments
        stream.wait_for(lambda it: it.comments >= seen + 3, what="heartbeats meanwhile")
        assert wall.get("/healthz").status == 200
        wait_until(lambda: not ready(wall), RECOVERY_S, "not ready while the server hangs")
    finally:
        server.thaw()
    sql.insert_posts(database_url, ["after the thaw"])
    stream.wait_for_body("after the thaw", RECOVERY_S)
    assert len(stream.rows) == 1
