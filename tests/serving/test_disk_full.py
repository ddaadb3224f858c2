"""No room on the database's disk: a post is refused in plain words, everything else goes on."""

from collections.abc import Callable, Iterator

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import Reply, post_json
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing
from tests.harness.small_disk import SmallDisk, small_disk
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream, create_posts

pytestmark = pytest.mark.serving

DISK_MB = 24  # InnoDB takes room in pieces of megabytes
LEFT_BYTES = 200_000
MANY_POSTS = 5_000  # more than there is room for
BODY = "x" * 1_900


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Asked for before the database, so that it is there until that is gone."""
    try:
        with small_disk(DISK_MB) as disk:
            yield disk
    except PartMissing as reason:
        pytest.skip(str(reason))


def post(wall: Gunicorn) -> Reply:
    return post_json(f"{wall.url}/posts", {"author": "Ada", "body": BODY})


def posts_until_refused(wall: Gunicorn) -> tuple[list[int], Reply]:
    """The ids that were acknowledged, and the first refusal."""
    acknowledged: list[int] = []
    for _ in range(MANY_POSTS):
        reply = post(wall)
        if reply.status != 201:
            return acknowledged, reply
        acknowledged.append(reply.json["id"])
    raise AssertionError("the disk never became full")


def assert_full_disk_stops_posts_only(
    wall: Gunicorn, open_stream: OpenStream, disk: SmallDisk, url: str
) -> None:
    stream = open_stream(wall.stream_url).wait_open()
    acknowledged = [post(wall).json["id"]]
    disk.fill(LEFT_BYTES)
    more, refusal = posts_until_refused(wall)
    acknowledged += more
    assert refusal.status == 507
    assert "room" in refusal.json["error"]
    assert "Your text is kept" in refusal.json["error"]
    assert wall.get("/readyz").status == 200
    assert f'data-id="{acknowledged[-1]}"' in wall.get("/").text
    stream.wait_for_rows(len(acknowledged))
    later = open_stream(wall.stream_url, "0").wait_open()
    disk.free()
    acknowledged += [post(wall).json["id"] for _ in range(3)]
    assert sql.post_ids(url) == acknowledged
    for one in (stream, later):
        assert one.wait_for_rows(len(acknowledged)) == acknowledged
        assert one.of_type("reset") == []


def test_full_disk_under_sqlite(disk: SmallDisk, start_wall: Wall, open_stream: OpenStream) -> None:
    url = f"sqlite:///{disk.folder / 'rowcast.sqlite3'}"
    assert_full_disk_stops_posts_only(start_wall(url), open_stream, disk, url)


def test_full_disk_under_mariadb(
    disk: SmallDisk,
    mariadb_url: str,
    mariadb_server: MariaDB,
    start_wall: Wall,
    open_stream: OpenStream,
) -> None:
    folder = disk.folder_of(mariadb_server.user)
    create_posts(mariadb_url)
    ((_, made),) = sql.execute(mariadb_url, "SHOW CREATE TABLE posts")
    sql.execute(mariadb_url, "DROP TABLE posts")
    sql.execute(mariadb_url, f"{made} DATA DIRECTORY = '{folder}'")
    assert_full_disk_stops_posts_only(start_wall(mariadb_url), open_stream, disk, mariadb_url)


def test_full_disk_under_postgresql(
    disk: SmallDisk,
    postgresql_url: str,
    postgres_server: Postgres,
    start_wall: Wall,
    open_stream: OpenStream,
    other_program: Callable[[str, str], None],
) -> None:
    create_posts(postgresql_url)
    folder = disk.folder_of(postgres_server.user)
    other_program(postgresql_url, f"CREATE TABLESPACE small LOCATION '{folder}'")
    try:
        sql.execute(postgresql_url, "ALTER TABLE posts SET TABLESPACE small")
        wall = start_wall(postgresql_url)
        assert_full_disk_stops_posts_only(wall, open_stream, disk, postgresql_url)
        wall.end()
    finally:  # a tablespace is the whole server's
        sql.execute(postgresql_url, "DROP TABLE posts")
        other_program(postgresql_url, "DROP TABLESPACE small")
