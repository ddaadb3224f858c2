"""The same history of the table, whatever was done to it: never a reset."""

from collections.abc import Callable

import pytest

from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream, ready, second_is_over, stream_of_old_rows

pytestmark = pytest.mark.serving

ServerOf = Callable[[str], Postgres | MariaDB]
OtherProgram = Callable[[str, str], None]
RECOVERY_S = 40.0  # the backoff's cap, and time to start
NOTICED_S = 30.0


def assert_goes_on(stream: Stream, url: str, rows: int) -> None:
    """Nothing but the rows, each once."""
    sql.insert_posts(url, ["and on"])
    stream.wait_for(
        lambda it: it.of_type("reset") or "and on" in [row["body"] for row in it.rows],
        RECOVERY_S,
        "the row",
    )
    assert [event.type for event in stream.events] == ["message"] * rows


UPKEEP = {
    "sqlite": ["VACUUM", "ANALYZE", "REINDEX", "PRAGMA wal_checkpoint(TRUNCATE)"],
    "postgresql": [
        "VACUUM ANALYZE posts",
        "REINDEX TABLE posts",
        "CHECKPOINT",
        "VACUUM FULL posts",
    ],
    "mariadb": ["ANALYZE TABLE posts", "CHECK TABLE posts", "FLUSH TABLES", "OPTIMIZE TABLE posts"],
}


def test_upkeep_of_the_table_is_no_reset(
    start_wall: Wall, open_stream: OpenStream, database_url: str, other_program: OtherProgram
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    sql.execute(database_url, "DELETE FROM posts WHERE id = 2")
    for statement in UPKEEP[sql.dialect_of(database_url)]:
        other_program(database_url, statement)
    assert_goes_on(stream, database_url, 4)
    again = open_stream(wall.stream_url, stream.events[0].last_event_id).wait_open()
    assert_goes_on(again, database_url, 3)


def test_deleted_newest_row_is_no_reset_also_after_a_restart(
    start_wall: Wall, open_stream: OpenStream, server_of: ServerOf, database_url: str
) -> None:
    """Its id is not given out again."""
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    sql.execute(database_url, "DELETE FROM posts")
    if sql.dialect_of(database_url) == "sqlite":
        wall.terminate()
        wall.start()
        wall.wait_ready()
        stream.wait_for_end()
    else:
        server_of(database_url).restart()
        assert_goes_on(stream, database_url, 4)
    again = open_stream(wall.stream_url, stream.events[2].last_event_id).wait_open()
    sql.insert_posts(database_url, ["newest"])
    again.wait_for_body("newest", RECOVERY_S)
    assert again.of_type("reset") == []
    assert again.row_ids == sql.post_ids(database_url)
    assert min(again.row_ids) > 3


def test_added_column_is_nobody_s_business(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    stream = stream_of_old_rows(wall, open_stream, database_url)
    if sql.dialect_of(database_url) == "mariadb":
        wait_until(lambda: second_is_over(database_url), NOTICED_S, "the second of its creation")
    columns = set(stream.rows[0])
    sql.execute(database_url, "ALTER TABLE posts ADD COLUMN secret VARCHAR(20)")
    sql.execute(database_url, "INSERT INTO posts (author, body, secret) VALUES ('a', 'b', 'hush')")
    assert_goes_on(stream, database_url, 5)
    later = open_stream(wall.stream_url, "0").wait_open()
    later.wait_for_rows(5)
    for row in stream.rows + later.rows:
        assert set(row) == columns


def test_watched_column_that_is_gone_is_waited_for(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url, {"ROWCAST_HEARTBEAT": "0.3"})
    stream = stream_of_old_rows(wall, open_stream, database_url)
    sql.execute(database_url, "ALTER TABLE posts RENAME COLUMN created_at TO made_at")
    sql.insert_posts(database_url, ["meanwhile"])
    stream.wait_for(lambda it: it.events[3:] or not ready(wall), RECOVERY_S, "not ready")
    assert stream.events[3:] == []
    seen = stream.comments
    stream.wait_for(lambda it: it.comments >= seen + 2, what="heartbeats meanwhile")
    sql.execute(database_url, "ALTER TABLE posts RENAME COLUMN made_at TO created_at")
    stream.wait_for(lambda it: it.events[3:], RECOVERY_S, "the row that came meanwhile")
    assert_goes_on(stream, database_url, 5)
    wait_until(lambda: ready(wall), RECOVERY_S, "ready again")
