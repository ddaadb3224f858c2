"""A worker that ends at the worst moment, and one whose log cannot be written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.gunicorn import PROJECT, Gunicorn
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

SHIPPED = f"""
import gevent, os, signal
exec(open({str(PROJECT / "gunicorn.conf.py")!r}).read())
"""
# gunicorn's worker looks once a second whether it has to end; the signal comes just before.
ENDS_BEFORE_THE_LOOK = """
def post_worker_init(worker):
    shipped_notify = worker.notify
    def notify():
        shipped_notify()
        if worker.alive and os.path.exists(NOW):
            os.remove(NOW)
            gevent.spawn_later(0.98, os.kill, os.getpid(), signal.SIGTERM)
    worker.notify = notify
"""
LOG_TO_A_FULL_DISK = """
def post_worker_init(worker):
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], list[str]]:
    def write(text: str) -> list[str]:
        path = tmp_path / "changed.conf.py"
        path.write_text(f"{SHIPPED}\nNOW = {str(tmp_path / 'now')!r}\n{text}")
        return ["-c", str(path)]

    return write


def test_signal_just_before_gunicorn_looks_ends_streams_politely(
    start_wall: Wall,
    open_stream: OpenStream,
    sqlite_url: str,
    configured: Callable[[str], list[str]],
    tmp_path: Path,
) -> None:
    # Below any time that a drain chooses, so that the two can never be equal by chance.
    settings = {"ROWCAST_RETRY": "7"}
    wall: Gunicorn = start_wall(sqlite_url, settings, options=configured(ENDS_BEFORE_THE_LOOK))
    for _ in range(2):
        wall.wait_ready()
        streams = [open_stream(wall.stream_url).wait_open() for _ in range(20)]
        (tmp_path / "now").touch()
        for stream in streams:
            stream.wait_for_end()
        told = sum(stream.retry != 7 for stream in streams)
        assert told == 20, f"{told} of 20 were told when to come back"


@pytest.mark.parametrize("fanout", ["true", "false"])
def test_log_that_cannot_be_written_is_no_matter_to_streams(
    start_wall: Wall,
    open_stream: OpenStream,
    sqlite_url: str,
    configured: Callable[[str], list[str]],
    fanout: str,
) -> None:
    settings = {"ROWCAST_FANOUT": fanout}
    wall: Gunicorn = start_wall(sqlite_url, settings, options=configured(LOG_TO_A_FULL_DISK))
    stream = open_stream(wall.stream_url).wait_open()
    wall.post("one")
    stream.wait_for_rows(1)
