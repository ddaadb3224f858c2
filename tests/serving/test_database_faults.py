"""The database absent, restarted, hung, locked, or changed: streams stay open and lose nothing."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from models import Post
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import Child, wait_until
from tests.harness.sse import Stream
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

ServerOf = Callable[[str], Postgres | MariaDB]
RECOVERY_S = 40.0  # the backoff's cap, and time to start
SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
FREEZE_LIMIT_S = 0.4  # the goal is 0.1 s; what it must show is that nobody waits for the lock
LOCK_S = 3.0

LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN " + sys.argv[2])
connection.execute("INSERT INTO posts (author, body) VALUES ('locker', 'held back')")
print("locked", flush=True)
time.sleep(float(sys.argv[3]))
connection.execute("COMMIT")
connection.close()
"""


def ready(wall: Gunicorn) -> bool:
    return wall.get("/readyz").status == 200


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


@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
def test_locked_sqlite_freezes_neither_streams_nor_page(
    start_wall: Wall, sqlite_url: str, tmp_path: Path, kind: str
) -> None:
    wall = start_wall(sqlite_url)
    program = [sys.executable, "-c", LOCKER, sql.sqlite_path(sqlite_url), kind, str(LOCK_S)]
    with Swarm(wall.stream_url, 50).open() as swarm:
        locker = Child(program, tmp_path / "locker.log")
        wait_until(lambda: "locked" in locker.log(), 10, "the other program holds the lock")
        statuses: list[int] = []
        poster = threading.Thread(target=post_meanwhile, args=(wall, statuses))
        poster.start()
        longest_s = longest_answer_s(wall, locker, ["/healthz", "/"])
        poster.join(30)
        assert statuses in ([201], [503]), "the post waited for the lock, or was told to come back"
        locker.wait(10)
        assert longest_s < FREEZE_LIMIT_S
        ids = sql.post_ids(sqlite_url)
        assert len(ids) == 1 + statuses.count(201)
        swarm.wait_for_id(ids[-1])
        assert all(member.ids == ids for member in swarm.members)
        assert all(member.connections == 1 for member in swarm.members)


def post_meanwhile(wall: Gunicorn, statuses: list[int]) -> None:
    body = b'{"author": "a", "body": "b"}'
    headers = {"Content-Type": "application/json"}
    statuses.append(request(f"{wall.url}/posts", "POST", body, headers, 30).status)


def longest_answer_s(wall: Gunicorn, locker: Child, paths: list[str]) -> float:
    """Asks for these pages in turn as long as the lock is held."""
    longest_s = 0.0
    while locker.alive:
        for path in paths:
            start_s = time.monotonic()
            assert wall.get(path).status == 200
            longest_s = max(longest_s, time.monotonic() - start_s)
    return longest_s


BAD_ROWS = {
    "sqlite": "INSERT INTO posts (author, body) VALUES ('bad', CAST(x'fffe41' AS TEXT))",
    "postgresql": "INSERT INTO posts (author, body, created_at) VALUES ('bad', 'b', 'infinity')",
}


@pytest.mark.parametrize("database_url", list(BAD_ROWS), indirect=True)
def test_unreadable_row_is_one_placeholder_among_good_rows(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    live = open_stream(wall.stream_url).wait_open()
    sql.insert_posts(database_url, ["good 1"])
    sql.execute(database_url, BAD_ROWS[sql.dialect_of(database_url)])
    sql.insert_posts(database_url, ["good 2"])
    later = open_stream(wall.stream_url, "0").wait_open()
    for stream in (live, later):
        stream.wait_for_body("good 2")
        assert [event.type for event in stream.events] == ["message", "unreadable", "message"]
        placeholder = stream.of_type("unreadable")[0].json
        assert placeholder["id"] == 2
        assert placeholder["reason"]
        assert stream.row_ids == [1, 3]
    assert wall.get("/").status == 200


def test_dropped_table_is_waited_for_and_its_successor_begins_with_a_reset(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    stream = open_stream(wall.stream_url).wait_open()
    sql.insert_posts(database_url, ["old 1", "old 2", "old 3"])
    stream.wait_for_rows(3)
    sql.execute(database_url, "DROP TABLE posts")
    wait_until(lambda: not ready(wall), RECOVERY_S, "not ready without its table")
    create_posts(database_url)
    sql.insert_posts(database_url, ["new 1"])
    stream.wait_for(lambda it: it.of_type("reset"), RECOVERY_S, "a reset")
    sql.insert_posts(database_url, ["new 2"])
    stream.wait_for_body("new 2", RECOVERY_S)
    kinds = [event.type for event in stream.events]
    assert kinds[:4] == ["message"] * 3 + ["reset"], "nothing of the new table before the reset"
    assert [row["body"] for row in stream.rows[:3]] == ["old 1", "old 2", "old 3"]
    wait_until(lambda: ready(wall), RECOVERY_S, "ready again")
    old = open_stream(wall.stream_url, stream.events[2].last_event_id)
    old.wait_for(lambda it: it.of_type("reset"), what="a reset for a cursor of the old table")


def create_posts(url: str) -> None:
    """The table as the wall made it, made by another program."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    scheme, _, rest = url.partition("://")
    engine = sa.create_engine(f"{drivers.get(scheme, scheme)}://{rest}", poolclass=NullPool)
    Post.metadata.create_all(engine)
    engine.dispose()
