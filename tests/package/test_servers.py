"""Each server of docs/servers.md that can be run here: how many streams, and what the log says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.package.helpers import (
    DATABASE,
    MAY_INSTALL,
    PATCHED,
    PROJECT,
    TEN_LINES,
    Environment,
    Server,
    write,
)

pytestmark = [pytest.mark.package, MAY_INSTALL]

Serve = Callable[..., Server]
OpenStream = Callable[..., Stream]
Order = Callable[[str], None]

BOUND_S = 30.0
MANY = 12  # more than any pool of threads has by default
WHY = "the standard library is not patched for gevent"
PYWSGI = """
from gevent import monkey
monkey.patch_all()
import sys
from gevent.pywsgi import WSGIServer
from shop import app
WSGIServer(("127.0.0.1", int(sys.argv[1])), app).serve_forever()
"""
GUNICORN = ["gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}"]
# The application patches by itself, if at all; name in the log; at what level it is named.
SERVES = {
    "gunicorn gevent": (TEN_LINES, [*GUNICORN, "-k", "gevent", "shop:app"], 1, "WARNING"),
    "gevent.pywsgi": (TEN_LINES, ["python", "serve.py", "{port}"], 0, "INFO"),
    "flask run, patched": (PATCHED, ["flask", "--app", "shop", "run", "-p", "{port}"], 0, "INFO"),
}
REFUSES = {
    "flask run": ["flask", "--app", "shop", "run", "-p", "{port}"],
    "gunicorn gthread": [*GUNICORN, "-k", "gthread", "--threads", "8", "shop:app"],
    "gunicorn sync": [*GUNICORN, "-k", "sync", "shop:app"],
    "waitress": ["waitress-serve", "--listen=127.0.0.1:{port}", "shop:app"],
    "gunicorn gevent, preloaded": [*GUNICORN, "-k", "gevent", "--preload", "shop:app"],
}


def received(stream: Stream) -> bool:
    """Whether it has a row by now."""
    stream.read(0)
    return bool(stream.row_ids)


@pytest.mark.parametrize(("text", "command", "workers", "level"), SERVES.values(), ids=SERVES)
def test_it_serves_many_streams(
    text: str,
    command: list[str],
    workers: int,
    level: str,
    serve: Serve,
    shop: Path,
    order: Order,
    open_stream: OpenStream,
) -> None:
    write(shop, shop=text, serve=PYWSGI)
    server = serve(*command, workers=workers)
    streams = [open_stream(server.stream_url).wait_open() for _ in range(MANY)]
    order("Ada")
    for stream in streams:
        stream.wait_for_rows(1)
    assert server.get("/healthz").status == 200
    assert re.search(f"{level} .*started server=", server.log())


@pytest.mark.parametrize("command", REFUSES.values(), ids=REFUSES)
def test_it_refuses_and_says_why(command: list[str], serve: Serve, shop: Path) -> None:
    write(shop, shop=TEN_LINES)
    server = serve(*command)
    for path in ("/stream", "/healthz", "/readyz"):
        answer = server.get(path)
        assert answer.status == 503
        assert "gunicorn -k poller.Worker" in answer.text
    assert server.get("/metrics").status == 200
    assert server.log().count("streams refused") == 1


def test_patched_threads_of_gunicorn_are_refused_at_start(
    installed: Environment, shop: Path
) -> None:
    write(shop, shop=PATCHED)
    command = ["-k", "gthread", "-b", "127.0.0.1:0", "--no-control-socket", "shop:app"]
    ended = installed.run_any("gunicorn", *command, folder=shop, **DATABASE)
    assert ended.returncode != 0
    assert "gthread worker answers nothing once" in ended.stderr


def test_waitress_serves_one_stream_a_thread(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    write(shop, shop=PATCHED)
    server = serve("waitress-serve", "--listen=127.0.0.1:{port}", "shop:app")
    streams = [open_stream(server.stream_url).wait_open() for _ in range(4)]
    fifth = open_stream(server.stream_url)
    order("Ada")
    for stream in streams:
        stream.wait_for_rows(1)
    assert not received(fifth)
    assert "a thread each: with the 4 that it has by default" in server.log()
    streams[0].close()

    # A client's end is noticed at the next write only.
    def moved_up() -> bool:
        order("Bob")
        return received(fifth)

    wait_until(moved_up, BOUND_S, "the fifth has its thread", step_s=0.2)


def test_a_sync_worker_serves_one_stream(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    write(shop, shop=PATCHED)
    server = serve(*GUNICORN, "-k", "sync", "shop:app", workers=1)
    stream = open_stream(server.stream_url).wait_open()
    second = open_stream(server.stream_url)
    order("Ada")
    stream.wait_for_rows(1)
    assert not received(second)
    assert "one at a time, and no other request" in server.log()


def test_every_row_of_the_table_was_run_or_says_that_it_was_not() -> None:
    page = (PROJECT / "docs" / "servers.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    for row in rows:
        assert "not run" in row or "`tests/package/test_" in row, row
