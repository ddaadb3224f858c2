"""Start and end of the server, however it is started and whatever is open."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.gunicorn import PROJECT, WAITS_FOR_STREAMS, Gunicorn
from tests.harness.process import wait_until
from tests.serving.conftest import Wall
from tests.serving.helpers import (
    BOTH_PATHS,
    BOTH_PATHS_AND_ALL_DATABASES,
    OpenStream,
    stream_on_each_worker,
)

pytestmark = pytest.mark.serving

SHIPPED = ("app.py", "gunicorn.conf.py", "models", "poller", "static", "templates", "wall")


@pytest.mark.parametrize("how", [Gunicorn.terminate, Gunicorn.interrupt], ids=["TERM", "Ctrl-C"])
@pytest.mark.parametrize(
    ("path_settings", "start"),
    [("fanout", "gunicorn app:app"), ("fanout", "python app.py"), ("generator", "python app.py")],
    indirect=["path_settings"],
)
def test_end_with_open_streams_is_quick_and_polite(
    start_wall: Wall,
    open_stream: OpenStream,
    sqlite_url: str,
    how: Callable[[Gunicorn], None],
    start: str,
) -> None:
    wall = start_wall(sqlite_url, WAITS_FOR_STREAMS, workers=2, start=start)
    streams = [open_stream(wall.stream_url).wait_open() for _ in range(50)]
    how(wall)
    retries = set()
    for stream in streams:
        stream.wait_for_end()
        assert stream.ended_whole, f"cut off instead of ended\n{stream}"
        retries.add(stream.retry)
    assert len(retries) > 1, "all would come back at the same moment"


@BOTH_PATHS_AND_ALL_DATABASES
def test_end_leaves_no_error_in_the_log(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url, workers=2)
    stream = open_stream(wall.stream_url).wait_open()
    wall.post("one")
    stream.wait_for_rows(1)
    wall.terminate()
    text = wall.log()
    assert "Traceback" not in text, text
    assert "Warning" not in text, text
    assert "ERROR" not in text.upper().replace("ERRORS", ""), text


def test_preloaded_workers_each_poll_for_themselves(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    wall = start_wall(database_url, WAITS_FOR_STREAMS, workers=2, options=["--preload"])
    streams = stream_on_each_worker(wall, open_stream)
    sql.insert_posts(database_url, ["for all"])
    for stream in streams.values():
        stream.wait_for_body("for all")
    wall.terminate()


def test_workers_starting_at_once_on_an_empty_database_do_not_collide(
    start_wall: Wall, database_url: str
) -> None:
    wall = start_wall(database_url, workers=4)
    assert wall.post("first") == 1
    assert "Traceback" not in wall.log(), wall.log()


@BOTH_PATHS
def test_killed_worker_is_replaced_and_its_streams_leave_the_count(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, workers=2)
    streams = stream_on_each_worker(wall, open_stream)
    assert wall.metric("rowcast_streams_open") == 2
    victim, survivor = streams
    wall.kill_worker(victim)
    wait_until(lambda: victim not in wall.worker_pids(), 30, "the killed worker is gone")
    wait_until(lambda: len(wall.worker_pids()) == 2, 30, "a new worker took its place")
    wait_until(lambda: wall.metric("rowcast_streams_open") == 1, 30, "its stream left the count")
    streams[victim].wait_for_end()
    post_id = wall.post("still here")
    assert streams[survivor].wait_for_rows(1) == [post_id]


@BOTH_PATHS
def test_metrics_are_summed_over_the_workers(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, workers=2)
    streams = stream_on_each_worker(wall, open_stream)
    wall.post("one")
    for stream in streams.values():
        stream.wait_for_rows(1)
    for pid in wall.worker_pids():
        with wall.only_worker(pid):
            assert wall.metric("rowcast_streams_open") == 2
            assert wall.metric("rowcast_rows_delivered_total") == 2
            assert wall.metric("rowcast_rows_encoded_total") == 2


def test_fresh_checkout_starts_without_any_setting(
    start_gunicorn: Callable[..., Gunicorn], open_stream: OpenStream, tmp_path: Path
) -> None:
    """SQLite and the key are made under instance/, the key for its owner only."""
    project = tmp_path / "checkout"
    project.mkdir()
    for name in SHIPPED:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, project / name)
    unset = {"DATABASE_URL": "", "SECRET_KEY": "", "HOST": ""}
    wall = start_gunicorn(unset, start="python app.py", project=project).wait_ready()
    stream = open_stream(wall.stream_url).wait_open()
    wall.post("hello")
    stream.wait_for_body("hello")
    assert wall.url in wall.log(), "the address is printed"
    key = project / "instance" / "secret_key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (project / "instance" / "rowcast.db").exists()


def test_unknown_setting_stops_the_start_and_names_the_nearest(
    start_gunicorn: Callable[..., Gunicorn],
) -> None:
    with pytest.raises(AssertionError, match="ROWCAST_POLL_INTERVAL"):
        start_gunicorn({"ROWCAST_POL_INTERVAL": "1"}, start="python app.py")


def test_port_in_use_is_told_in_one_line(start_gunicorn: Callable[..., Gunicorn]) -> None:
    first = start_gunicorn({})
    with pytest.raises(AssertionError, match="ended at start") as failure:
        start_gunicorn({}, start="python app.py", port=first.port)
    assert "Traceback" not in str(failure.value)
    assert f"PORT={first.port}" in str(failure.value)
