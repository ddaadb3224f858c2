"""Live streams move to other workers: at a reload, a restart, the end of one worker, a new master.

What a client sees is the proof: rows are inserted all the time, and nobody has to reconnect.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import EXERCISED
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.moves import NO_CAP, Watched, spread
from tests.harness.process import PartMissing, has_ended, wait_until
from tests.harness.proxies import Nginx
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream, create_posts

pytestmark = pytest.mark.serving

STREAMS = 30
BOUND_S = 60.0
# Nobody gives up: neither a stream that is not ended, nor a worker that a busy machine starts.
PATIENCE = "--graceful-timeout 600 --timeout 600"
PATIENT = {**NO_CAP, "GUNICORN_CMD_ARGS": PATIENCE}


def signal_master(server: Gunicorn, number: int) -> list[int]:
    """The workers that were there."""
    assert server.child is not None
    before = server.worker_pids()
    server.child.signal(number)
    return before


def assert_even(server: Gunicorn, watched: Watched, workers: int, streams: int = STREAMS) -> None:
    """Within 20 % of the mean, as soon as a new worker has asked for its share."""

    def even() -> bool:
        counts = sorted(spread(server).values())
        mean = streams / workers
        return (
            len(counts) == workers
            and sum(counts) == streams
            and counts[-1] - counts[0] <= 0.4 * mean
        )

    watched.until(even, f"an even spread: {spread(server)}\n{server.log()[-3000:]}")


def coming(server: Gunicorn) -> list[Path]:
    """The marks of workers that have not opened their sockets yet."""
    return [*server.log_path.parent.glob("rowcast-workers-*/.*.coming")]


def refused(server: Gunicorn) -> dict[str, float]:
    """By reason, how often a worker did not take streams, but for one that a busy machine held up
    for longer than a giver waits."""
    lines = server.get("/metrics").text.splitlines()
    found = [
        re.match(r'rowcast_hand_over_refused_total\{.*reason="(.*?)"\} (.*)', one) for one in lines
    ]
    counts = {one[1]: float(one[2]) for one in found if one is not None}
    return {reason: count for reason, count in counts.items() if count and reason != "no answer"}


def told(server: Gunicorn, what: str) -> int:
    """Streams that were, by the lines of the log."""
    return sum(map(int, re.findall(rf"streams {what} streams=(\d+)", server.log())))


def test_reloads_and_the_end_of_one_worker_are_noticed_by_nobody(
    start_wall: Wall, sqlite_url: str
) -> None:
    server = start_wall(sqlite_url, PATIENT, workers=3)
    with Watched(server, sqlite_url, STREAMS) as watched:
        for _ in range(2):
            watched.until_gone(signal_master(server, signal.SIGHUP))
            assert_even(server, watched, 3)
        before = server.worker_pids()
        server.kill_worker(before[0], signal.SIGTERM)
        watched.until_gone(before[:1])
        assert_even(server, watched, 3)
        watched.a_while()
        watched.assert_nobody_noticed()
        assert server.metric("rowcast_streams_open") == STREAMS
        assert server.metric("rowcast_streams_total") == STREAMS
        moved = server.metric("rowcast_streams_handed_over_total")
        assert moved >= 2 * STREAMS + STREAMS // 4
        assert server.metric("rowcast_streams_taken_total") == moved
        assert refused(server) == {}
        assert server.metric("rowcast_hand_over_wait_seconds_count") > 0
        assert 0 < told(server, "handed over") <= moved  # the others are shares of new workers
        # A worker tells what it took once nobody gives any more.
        watched.until(lambda: told(server, "taken") == moved, "all that moved is told")
        server.terminate()  # within a bound of its own: nobody is waited for


def test_a_single_worker_gives_to_its_successor(start_wall: Wall, sqlite_url: str) -> None:
    server = start_wall(sqlite_url, PATIENT)
    with Watched(server, sqlite_url, 10) as watched:
        watched.until_gone(signal_master(server, signal.SIGHUP))
        watched.a_while()
        watched.assert_nobody_noticed()


def test_workers_that_have_served_their_requests_go_one_after_another(
    start_wall: Wall, sqlite_url: str
) -> None:
    """All reach `max_requests` at the same time; each waits until another one is ready."""
    options = ["--max-requests", "40"]
    server = start_wall(sqlite_url, PATIENT, workers=2, options=options)
    with Watched(server, sqlite_url, STREAMS) as watched:
        before = server.worker_pids()

        def restarted() -> bool:
            server.get("/healthz")
            return not {*before} & {*server.worker_pids()}

        watched.until(restarted, "both have restarted")
        watched.a_while()
        watched.assert_nobody_noticed()
        assert "Autorestarting worker" in server.log()


def test_a_new_master_takes_over_from_the_old_one(
    start_wall: Wall, sqlite_url: str, tmp_path: Path
) -> None:
    """USR2, then SIGTERM to the old one. `python app.py` runs gunicorn as a module."""
    pidfile = tmp_path / "gunicorn.pid"
    settings = {
        **NO_CAP,
        "GUNICORN_CMD_ARGS": f"{PATIENCE} --pid {pidfile}",
    }
    server = start_wall(sqlite_url, settings, workers=2, start="python app.py")
    with Watched(server, sqlite_url, STREAMS) as watched:
        old = signal_master(server, signal.SIGUSR2)
        new_pid = pidfile.with_suffix(".pid.2")
        watched.until(lambda: new_pid.exists() and new_pid.read_text().strip(), "a new master")
        new = psutil.Process(int(new_pid.read_text()))
        try:
            watched.until(lambda: len(new.children()) == 2, "its workers")
            assert server.child is not None
            server.child.signal(signal.SIGTERM)
            watched.until(lambda: not server.child or not server.child.alive, "the old one's end")
            assert all(not psutil.pid_exists(pid) or has_ended(psutil.Process(pid)) for pid in old)
            watched.a_while()
            watched.assert_nobody_noticed()
            assert server.metric("rowcast_streams_open") == STREAMS
            moved = server.metric("rowcast_streams_taken_total")
            assert moved == server.metric("rowcast_streams_handed_over_total") >= STREAMS
        finally:
            workers = new.children()
            new.terminate()
            wait_until(lambda: all(map(has_ended, [new, *workers])), BOUND_S, "the end of all")
    assert [*tmp_path.glob("rowcast-*")] == []


def test_the_end_of_the_whole_server_waits_for_nobody(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    server = start_wall(sqlite_url, PATIENT, workers=2)
    streams = [open_stream(server.stream_url).wait_open() for _ in range(10)]
    server.terminate()
    for stream in streams:
        stream.wait_for_end()
        assert stream.ended_whole
        assert stream.retry is not None
    assert "streams handed over" not in server.log()


def test_what_does_not_fit_is_sent_away_and_misses_nothing(
    start_wall: Wall, sqlite_url: str
) -> None:
    """One of two workers ends, and the other one has room for a part of its streams."""
    room = 20
    settings = {**NO_CAP, "ROWCAST_MAX_STREAMS": f"{room}"}
    server = start_wall(sqlite_url, settings, workers=2)
    with Watched(server, sqlite_url, STREAMS) as watched:
        watched.until(lambda: not coming(server), "both workers have come")
        counts = spread(server)
        ends = max(counts, key=lambda pid: counts[pid])
        server.kill_worker(ends, signal.SIGTERM)
        watched.until_gone([ends])
        watched.until(lambda: watched.swarm.primed == STREAMS, "all are open again")
        watched.a_while()
        watched.assert_nothing_lost()
        assert watched.reconnected == STREAMS - room < counts[ends], server.log()[-3000:]
        assert server.metric("rowcast_streams_open") == STREAMS


ORDERS = """CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, version INTEGER,
deleted_at TEXT)"""
ITEMS = "CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, sort INTEGER NOT NULL, x INTEGER)"


def test_streams_of_every_kind_of_feed_go_on(
    start_gunicorn: Callable[..., Gunicorn], open_stream: OpenStream, sqlite_url: str
) -> None:
    """A filtered view, rows that change, and the newest rows of a table; chunked or not."""
    create_posts(sqlite_url)
    sql.execute(sqlite_url, ORDERS)
    sql.execute(sqlite_url, ITEMS)
    env = {**PATIENT, "DATABASE_URL": sqlite_url, "ROWCAST_POST_RATE": ""}
    server = start_gunicorn(env, app="tests.serving.moving_app:app", workers=2).wait_ready()
    filtered = open_stream(f"{server.stream_url}/posts?author=ada").wait_open()
    plain = open_stream(f"{server.stream_url}/posts", headers={"Connection": "close"}).wait_open()
    versions = open_stream(f"{server.stream_url}/orders").wait_open()
    window = open_stream(f"{server.stream_url}/items").wait_open()
    streams = [filtered, plain, versions, window]

    def change(number: int) -> None:
        sql.insert_posts(sqlite_url, [f"{number}"], "ada")
        sql.insert_posts(sqlite_url, [f"other {number}"], "bob")
        order = [number, 2 * number, number]
        sql.execute(sqlite_url, "INSERT INTO orders VALUES (%s, %s, %s, NULL)", order)
        sql.execute(sqlite_url, "INSERT INTO items VALUES (%s, %s, 1)", [f"k{number}", number])

    change(1)
    for stream in streams:
        wait_rows(stream, 1)
    before = signal_master(server, signal.SIGHUP)
    wait_until(lambda: not {*before} & {*server.worker_pids()}, BOUND_S, "the old workers' end")
    change(2)
    assert [row["body"] for row in wait_rows(filtered, 2)] == ["1", "2"]
    assert [row["body"] for row in wait_rows(plain, 4)] == ["1", "other 1", "2", "other 2"]
    assert [row["total"] for row in wait_rows(versions, 2)] == [2, 4]
    assert [row["id"] for row in wait_rows(window, 2)] == ["k1", "k2"]
    for stream in streams:
        assert [len(stream.of_type(kind)) for kind in ("start", "live", "reset")] == [1, 1, 0]
    # Each once, and once more if a new worker asked for its share after that.
    taken = server.metric("rowcast_streams_taken_total")
    assert taken == server.metric("rowcast_streams_handed_over_total") >= len(streams)


def wait_rows(stream: Stream, count: int) -> list[Any]:
    stream.wait_for(lambda _: len(stream.rows) >= count, what=f"{count} rows")
    return stream.rows


def test_a_proxy_notices_nothing(start_gunicorn: Callable[..., Gunicorn], sqlite_url: str) -> None:
    settings = {
        **PATIENT,
        "DATABASE_URL": sqlite_url,
        "ROWCAST_PROXIES": "1",
        "ROWCAST_TRUSTED_HOSTS": "wall.example.org,127.0.0.1",
    }
    server = start_gunicorn(settings, workers=2).wait_ready()
    try:
        nginx = Nginx(server.port)
    except PartMissing as reason:
        EXERCISED.skip(Nginx.name, str(reason))
    with nginx as proxy:
        EXERCISED.use(proxy.name, proxy.version)
        with Watched(server, sqlite_url, STREAMS, at=f"{proxy.url}/stream") as watched:
            said = proxy.log()
            watched.until_gone(signal_master(server, signal.SIGHUP))
            watched.a_while()
            watched.assert_nobody_noticed()
            assert proxy.log() == said


@pytest.fixture
def frozen() -> Iterator[Callable[[int], psutil.Process]]:
    """frozen(pid): a process that stands still, until the test ends."""
    stopped: list[psutil.Process] = []

    def freeze(pid: int) -> psutil.Process:
        stopped.append(psutil.Process(pid))
        os.kill(pid, signal.SIGSTOP)
        return stopped[-1]

    yield freeze
    for process in stopped:
        if process.is_running():
            process.resume()


def test_a_worker_that_stands_still_is_passed_over(
    start_wall: Wall, sqlite_url: str, frozen: Callable[[int], psutil.Process]
) -> None:
    server = start_wall(sqlite_url, PATIENT, workers=3)
    with Watched(server, sqlite_url, STREAMS) as watched:
        # One that still comes would be waited for, for as long as gunicorn lets a start take.
        watched.until(lambda: not coming(server), "all workers have come")
        counts = spread(server)
        least, *_, most = sorted(counts, key=lambda pid: counts[pid])
        still = frozen(least)
        server.kill_worker(most, signal.SIGTERM)
        watched.until(lambda: most not in server.worker_pids(), "it has left")
        still.resume()
        watched.a_while()
        watched.assert_nobody_noticed()
