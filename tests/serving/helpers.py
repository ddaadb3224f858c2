"""Steps that several of the end-to-end tests take."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from models import Post
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.sse import Stream

OpenStream = Callable[..., Stream]
# What a worker opens once it is needed, and keeps: a second connection to its database (three
# descriptors on SQLite), the watch of the database's folder, a file of the status page.
KEPT_DESCRIPTORS = 5
# Streams are written directly, or handed to the server as a generator. Tests of the HTTP between
# worker and client run on both. What happens before the log is the same for either, so those that
# need each database, too, take the generator on one.
PATHS = {"fanout": {"ROWCAST_FANOUT": "true"}, "generator": {"ROWCAST_FANOUT": "false"}}
BOTH_PATHS = pytest.mark.parametrize("path_settings", PATHS, indirect=True)
BOTH_PATHS_AND_ALL_DATABASES = pytest.mark.parametrize(
    ("path_settings", "database_url"),
    [
        ("fanout", "sqlite"),
        ("fanout", "postgresql"),
        ("fanout", "mariadb"),
        ("generator", "sqlite"),
    ],
    indirect=True,
)
# The same for the wall that a module shares.
SHARED_ON_ALL_DATABASES = pytest.mark.parametrize(
    ("shared_path", "shared_url"),
    [("fanout", "sqlite"), ("fanout", "postgresql"), ("fanout", "mariadb")],
    indirect=True,
)
SHARED_ON_BOTH_PATHS = pytest.mark.parametrize(
    ("shared_path", "shared_url"), [("fanout", "sqlite"), ("generator", "sqlite")], indirect=True
)
SHARED_ON_BOTH_PATHS_AND_ALL_DATABASES = pytest.mark.parametrize(
    ("shared_path", "shared_url"),
    [
        ("fanout", "sqlite"),
        ("fanout", "postgresql"),
        ("fanout", "mariadb"),
        ("generator", "sqlite"),
    ],
    indirect=True,
)
OLD_BODIES = ["old 1", "old 2", "old 3"]


def ready(wall: Gunicorn) -> bool:
    return wall.get("/readyz").status == 200


def stream_on_each_worker(wall: Gunicorn, open_stream: OpenStream) -> dict[int, Stream]:
    """Worker's pid → an open stream that this worker serves."""
    streams = {}
    for pid in wall.worker_pids():
        with wall.only_worker(pid):
            streams[pid] = open_stream(wall.stream_url).wait_open()
        assert wall.worker_of(streams[pid]) == pid
    return streams


def wait_caught_up(wall: Gunicorn, open_stream: OpenStream, rows: int) -> Stream:
    """Until the only worker has read this many rows, so that "from now" is after them.

    The stream that showed it, from the beginning, is closed again.
    """
    assert wall.workers == 1
    with open_stream(wall.stream_url, "0") as stream:
        stream.wait_for_rows(rows, 60)
    return stream


def create_posts(url: str) -> None:
    """The table as the wall made it, made by another program."""
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    scheme, _, rest = url.partition("://")
    engine = sa.create_engine(f"{drivers.get(scheme, scheme)}://{rest}", poolclass=NullPool)
    Post.metadata.create_all(engine)
    engine.dispose()


def stream_of_old_rows(wall: Gunicorn, open_stream: OpenStream, url: str) -> Stream:
    """An open stream that was sent three rows."""
    stream = open_stream(wall.stream_url).wait_open()
    sql.insert_posts(url, OLD_BODIES)
    stream.wait_for_rows(3)
    return stream


def second_is_over(url: str) -> bool:
    """MariaDB knows a table by the second in which it was made."""
    name = url.rsplit("/", 1)[1]
    query = "SELECT MAX(create_time) < NOW() FROM information_schema.tables"
    return bool(sql.execute(url, f"{query} WHERE table_schema = %s", [name])[0][0])
