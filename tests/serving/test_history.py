"""Another history of the table: a reset comes before any further row, and old ids are void."""

import shutil
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.postgres import Postgres, Standby
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import (
    OLD_BODIES,
    OpenStream,
    create_posts,
    ready,
    second_is_over,
    stream_of_old_rows,
)

pytestmark = pytest.mark.serving

RECOVERY_S = 40.0  # the backoff's cap, and time to start
NOTICED_S = 30.0


def assert_begins_again(
    wall: Gunicorn, stream: Stream, open_stream: OpenStream, new_url: str
) -> None:
    """The open stream is reset, and so is who comes back with an id of the old history."""
    assert_open_stream_is_reset(wall, stream, new_url)
    assert_old_id_is_reset(wall, stream, open_stream)


def assert_open_stream_is_reset(wall: Gunicorn, stream: Stream, new_url: str) -> None:
    """The reset is the first thing after the old rows, and the stream goes on."""
    stream.wait_for(lambda it: it.events[3:], RECOVERY_S, "a reset")
    assert stream.events[3].type == "reset"
    sql.insert_posts(new_url, ["after the reset"])
    stream.wait_for_body("after the reset", RECOVERY_S)
    assert [row["body"] for row in stream.rows[:3]] == OLD_BODIES
    assert len(stream.of_type("reset")) == 1
    wait_until(lambda: ready(wall), RECOVERY_S, "ready again")


def assert_old_id_is_reset(wall: Gunicorn, stream: Stream, open_stream: OpenStream) -> None:
    old = open_stream(wall.stream_url, stream.events[2].last_event_id)
    old.wait_for(lambda it: it.events, RECOVERY_S, "an event for an id of the old history")
    assert old.events[0].type == "reset"


def test_dropped_table_is_waited_for_and_its_successor_is_a_reset(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    sql.execute(database_url, "DROP TABLE posts")
    wait_until(lambda: not ready(wall), RECOVERY_S, "not ready without its table")
    create_posts(database_url)
    sql.insert_posts(database_url, ["new 1"])
    assert_begins_again(wall, stream, open_stream, database_url)


EMPTIED = [
    ("sqlite", "DELETE FROM sqlite_sequence"),
    ("postgresql", "TRUNCATE posts"),
    ("postgresql", "TRUNCATE posts RESTART IDENTITY"),
    ("mariadb", "TRUNCATE posts"),
]


@pytest.mark.parametrize(("database_url", "statement"), EMPTIED, indirect=["database_url"])
def test_truncated_table_is_a_reset(
    start_wall: Wall, open_stream: OpenStream, database_url: str, statement: str
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    if sql.dialect_of(database_url) == "sqlite":  # it knows no TRUNCATE
        sql.execute(database_url, "DELETE FROM posts")
    sql.execute(database_url, statement)
    assert_begins_again(wall, stream, open_stream, database_url)


def recreate(url: str) -> None:
    """In one transaction: no poll sees the table absent, or its ids below the old position."""
    with sql.Transaction(url) as successor:
        successor.execute("BEGIN")
        successor.execute("DROP TABLE posts")
        columns = "author TEXT, body TEXT, created_at TIMESTAMP"
        successor.execute(f"CREATE TABLE posts (id {sql.KEY_TYPES[successor.dialect]}, {columns})")
        for number in range(10):
            successor.insert_post(f"new {number}")
        successor.commit()


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_recreated_table_with_more_rows_resets_open_streams(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    recreate(database_url)
    assert_open_stream_is_reset(wall, stream, database_url)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("restarted", [False, True], ids=["same worker", "new worker"])
def test_recreated_table_with_more_rows_voids_old_ids(
    start_wall: Wall, open_stream: OpenStream, database_url: str, *, restarted: bool
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    recreate(database_url)
    stream.wait_for(lambda it: it.of_type("reset"), RECOVERY_S, "a reset")
    if restarted:
        stream.close()
        wall.terminate()
        wall.start()
        wall.wait_ready()
    assert_old_id_is_reset(wall, stream, open_stream)


def test_truncated_mariadb_table_with_more_rows_voids_old_ids(
    start_wall: Wall, open_stream: OpenStream, mariadb_url: str
) -> None:
    """Its creation time stays; InnoDB's id of it does not."""
    wall = start_wall(mariadb_url)
    stream = stream_of_old_rows(wall, open_stream, mariadb_url)
    sql.execute(mariadb_url, "TRUNCATE posts")
    stream.wait_for(lambda it: it.of_type("reset"), RECOVERY_S, "a reset")
    sql.insert_posts(mariadb_url, [f"new {number}" for number in range(10)])
    assert_old_id_is_reset(wall, stream, open_stream)


def test_recreated_mariadb_table_with_more_rows_is_a_reset(
    start_wall: Wall, open_stream: OpenStream, mariadb_url: str
) -> None:
    """No poll sees it absent: RENAME swaps both at once."""
    wall = start_wall(mariadb_url)
    stream = stream_of_old_rows(wall, open_stream, mariadb_url)
    wait_until(lambda: second_is_over(mariadb_url), NOTICED_S, "the second of its creation")
    sql.execute(mariadb_url, "CREATE TABLE successor LIKE posts")
    # Triggers are not copied, and no version is looked at here.
    sql.execute(mariadb_url, "DROP INDEX posts_version_key ON successor")
    sql.execute(mariadb_url, "INSERT INTO successor (author, body) VALUES ('a', 'new')")
    for _ in range(3):
        again = "INSERT INTO successor (author, body) SELECT author, body FROM successor"
        sql.execute(mariadb_url, again)
    sql.execute(mariadb_url, "RENAME TABLE posts TO predecessor, successor TO posts")
    assert_begins_again(wall, stream, open_stream, mariadb_url)


def test_swapped_sqlite_file_is_a_reset(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str, tmp_path: Path
) -> None:
    """As a backup is put back: the log of the old file goes with it."""
    other_url = f"sqlite:///{tmp_path / 'backup.sqlite3'}"
    create_posts(other_url)
    sql.insert_posts(other_url, [f"restored {number}" for number in range(10)])
    wall = start_wall(sqlite_url)
    stream = stream_of_old_rows(wall, open_stream, sqlite_url)
    path = Path(sql.sqlite_path(sqlite_url))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    shutil.move(sql.sqlite_path(other_url), path)
    assert_begins_again(wall, stream, open_stream, sqlite_url)


def test_failover_to_a_standby_is_a_reset(
    start_wall: Wall, open_stream: OpenStream, postgresql_url: str, postgres_server: Postgres
) -> None:
    """The url names both servers and asks for the one that takes writes."""
    name = postgresql_url.rsplit("/", 1)[1]
    with Standby(postgres_server) as standby:
        hosts = [f"host=127.0.0.1:{server.port}" for server in (postgres_server, standby)]
        both = f"postgresql://rowcast@/{name}?{'&'.join(hosts)}&target_session_attrs=read-write"
        wall = start_wall(both, workers=2)
        streams = [
            stream_of_old_rows(wall, open_stream, postgresql_url),
            *(open_stream(wall.stream_url, "0").wait_open() for _ in range(4)),
        ]
        for stream in streams:
            stream.wait_for_rows(3)
        standby.wait_replayed()
        postgres_server.stop("immediate")
        standby.promote()
        sql.insert_posts(standby.url_of(name), ["on the new primary"])
        for stream in streams:
            assert_begins_again(wall, stream, open_stream, standby.url_of(name))
        wall.end()
