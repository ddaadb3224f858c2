"""Rows from far in the past or the future: the time in a row decides nothing."""

import pytest

from tests.harness import sql
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

FAR = {
    "sqlite": ["0001-01-01 00:00:00", "9999-12-31 23:59:59"],
    "postgresql": ["0001-01-01 00:00:00Z", "9999-12-31 23:59:59Z"],
    "mariadb": ["1000-01-01 00:00:00", "9999-12-31 23:59:59"],
}


def test_rows_of_any_time_go_out_in_the_order_of_their_ids(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url)
    stream = open_stream(wall.stream_url).wait_open()
    sql.insert_posts(database_url, ["now"])
    for moment in FAR[sql.dialect_of(database_url)]:
        statement = "INSERT INTO posts (author, body, created_at) VALUES ('a', 'far', %s)"
        sql.execute(database_url, statement, [moment])
        sql.insert_posts(database_url, ["now again"])
    assert stream.wait_for_rows(5) == sql.post_ids(database_url)
    resumed = open_stream(wall.stream_url, stream.events[0].last_event_id).wait_open()
    assert resumed.wait_for_rows(4) == stream.row_ids[1:]
    assert [event.type for event in stream.events + resumed.events] == ["message"] * 9
    assert wall.metric("rowcast_lag_seconds_count") > 0
    assert wall.get("/readyz").status == 200
    assert wall.get("/").status == 200
