"""`gunicorn -k poller.Worker`, in an environment and a folder that know nothing of this project."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.harness.process import has_ended, wait_until
from tests.harness.sse import Stream
from tests.package.helpers import MAY_INSTALL, TEN_LINES, Server, write

pytestmark = [pytest.mark.package, MAY_INSTALL]

Serve = Callable[..., Server]
OpenStream = Callable[..., Stream]
Order = Callable[[str], None]

BOUND_S = 30.0
# Streams that are not drained hold the end up for longer than the harness waits for it.
OURS = ("-k", "poller.Worker", "-b", "127.0.0.1:{port}", "--graceful-timeout", "90")


def customers(stream: Stream, count: int = 1) -> list[str]:
    stream.wait_for_rows(count)
    return [row["customer"] for row in stream.rows]


def open_on_both(server: Server, open_stream: OpenStream, path: str = "/stream") -> list[Stream]:
    """Streams until each worker has some."""
    streams: list[Stream] = []

    def spread() -> bool:
        streams.append(open_stream(server.url + path).wait_open())
        return {*map(server.worker_of, streams)} == {*server.worker_pids()}

    wait_until(spread, BOUND_S, "both workers have a stream")
    return streams


def assert_serves(server: Server, open_stream: OpenStream, order: Order, path: str) -> None:
    """A row reaches a stream, and the streams end in order when the server does."""
    stream = open_stream(server.url + path).wait_open()
    order("Ada")
    assert customers(stream) == ["Ada"]
    server.terminate()  # within a bound of its own
    stream.wait_for_end()
    assert stream.ended_whole
    assert "Traceback" not in server.log()
    assert [*server.temporary.glob("rowcast-metrics-*")] == []


def test_ten_lines_and_two_workers_are_all(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    write(shop, shop=TEN_LINES)
    server = serve("gunicorn", *OURS, "shop:app", workers=2).wait_ready()
    streams = open_on_both(server, open_stream)
    assert server.log().count("started server='gunicorn, poller.Worker'") == 2
    assert "WARNING" not in server.log()
    order("Ada")
    assert [customers(stream) for stream in streams] == [["Ada"]] * len(streams)
    assert set(streams[0].rows[0]) == {"id", "customer", "total"}
    server.terminate()  # within a bound of its own
    for stream in streams:
        stream.wait_for_end()
        assert stream.ended_whole
        assert stream.retry is not None


def test_metrics_add_up_also_after_a_worker_was_killed(
    serve: Serve, shop: Path, open_stream: OpenStream
) -> None:
    write(shop, shop=TEN_LINES)
    server = serve("gunicorn", *OURS, "shop:app", workers=2).wait_ready()
    streams = open_on_both(server, open_stream)

    def opened(count: int) -> bool:
        """Whichever worker is asked."""
        return {server.metric("rowcast_streams_open") for _ in range(8)} == {count}

    wait_until(lambda: opened(len(streams)), BOUND_S, "all streams are counted")
    assert server.metric("rowcast_streams_total") == len(streams)
    server.kill_worker_of(streams[0])
    streams[0].wait_for_end()
    left = [stream for stream in streams if server.holder_of(stream) is not None]
    wait_until(lambda: len(server.worker_pids()) == 2, BOUND_S, "a new worker")
    wait_until(lambda: opened(len(left)), BOUND_S, "the dead worker's streams are not counted")
    assert server.metric("rowcast_streams_total") == len(streams)


PROXIED = f"""{TEN_LINES}
from werkzeug.middleware.proxy_fix import ProxyFix
app = ProxyFix(app, x_for=1)
"""
MOUNTED = f"""{TEN_LINES}
from werkzeug.middleware.dispatcher import DispatcherMiddleware
app = DispatcherMiddleware(Flask("front"), {{"/shop": app}})
"""
FACTORY = """
from flask import Flask
from poller import Notifier

notifier = Notifier()
notifier.watch("orders", columns=["id", "customer", "total"], authorize="public")

def create_app():
    app = Flask(__name__)
    notifier.init_app(app, default_feed="orders")
    return app
"""
WRAPPED = {
    "ProxyFix": (PROXIED, ["shop:app"], "/stream"),
    "DispatcherMiddleware": (MOUNTED, ["shop:app"], "/shop/stream"),
    "factory": (FACTORY, ["shop:create_app()"], "/stream"),
    "preload": (TEN_LINES, ["--preload", "shop:app"], "/stream"),
    "preloaded factory": (FACTORY, ["--preload", "shop:create_app()"], "/stream"),
}


@pytest.mark.parametrize(("text", "arguments", "path"), WRAPPED.values(), ids=WRAPPED)
def test_the_notifier_is_found_however_the_application_is_made(
    text: str,
    arguments: list[str],
    path: str,
    serve: Serve,
    shop: Path,
    order: Order,
    open_stream: OpenStream,
) -> None:
    write(shop, shop=text)
    server = serve("gunicorn", *OURS, *arguments, workers=1)
    wait_until(lambda: "started server=" in server.log(), BOUND_S, "polling begins with the worker")
    assert_serves(server, open_stream, order, path)


HOOKS = """
import json, pathlib
worker_class = "poller.Worker"
worker_connections = 77
def told(name, **more):
    with pathlib.Path("hooks").open("a") as file:
        print(json.dumps({"hook": name, **more}), file=file)
def post_fork(server, worker): told("post_fork")
def post_worker_init(worker): told("post_worker_init")
def worker_exit(server, worker): told("worker_exit", connections=worker.worker_connections)
def on_exit(server): told("on_exit")
"""


def test_a_configuration_of_the_users_own_stays_theirs(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    write(shop, shop=TEN_LINES, **{"theirs/conf": HOOKS})
    arguments = ["-c", "theirs/conf.py", "-b", "127.0.0.1:{port}", "shop:app"]
    server = serve("gunicorn", *arguments, workers=1)
    assert_serves(server, open_stream, order, "/stream")
    assert [json.loads(line) for line in (shop / "hooks").read_text().splitlines()] == [
        {"hook": "post_fork"},
        {"hook": "post_worker_init"},
        {"hook": "worker_exit", "connections": 77},
        {"hook": "on_exit"},
    ]


def test_an_application_without_a_notifier_is_served(serve: Serve, shop: Path) -> None:
    write(shop, plain="from flask import Flask\napp = Flask(__name__)\n")
    server = serve("gunicorn", *OURS, "plain:app", workers=1)
    assert server.get("/").status == 404
    server.terminate()  # within a bound of its own
    assert "Traceback" not in server.log()
    assert "rowcast" not in server.log()


SETTINGS_OF_ITS_OWN = """
import socket
from flask import Flask, request
from poller import Notifier, Settings
notifier = Notifier()
notifier.watch("orders", columns=["id"], authorize="public")
app = Flask(__name__)
notifier.init_app(app, settings=Settings(database_url="sqlite:///shop.db", write_deadline_s=5))

@app.get("/silence")
def silence():
    client = request.environ["gunicorn.socket"]
    return str(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
"""


def test_the_notifiers_own_settings_bound_what_the_listener_accepts(
    serve: Serve, shop: Path
) -> None:
    write(shop, shop=SETTINGS_OF_ITS_OWN)
    server = serve("gunicorn", *OURS, "shop:app", workers=1)
    assert server.get("/silence").text == "5000"


def test_the_users_own_packages_are_not_shadowed(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    theirs = "import models, tests, wall\nfrom models import MINE\n@app.get('/mine')\n"
    write(
        shop,
        app=f"{TEN_LINES}{theirs}def mine(): return f'{{MINE}} {{tests.MINE}} {{wall.MINE}}'\n",
        wall="MINE = 'wall'\n",
        **{"models/__init__": "MINE = 'models'\n", "tests/__init__": "MINE = 'tests'\n"},
    )
    server = serve("gunicorn", *OURS, "app:app", workers=1)
    assert server.get("/mine").text == "models tests wall"
    assert_serves(server, open_stream, order, "/stream")


def test_no_control_socket_is_opened(serve: Serve, shop: Path) -> None:
    write(shop, shop=TEN_LINES)
    options = ["--log-level", "debug", "--control-socket", str(shop / "control")]
    server = serve("gunicorn", *OURS, *options, "shop:app", workers=1)
    wait_until(lambda: "Control socket disabled" in server.log(), BOUND_S, "gunicorn says so")
    server.terminate()
    assert not (shop / "control").exists()


def test_a_reload_keeps_counting_and_leaves_nothing_behind(
    serve: Serve, shop: Path, order: Order, open_stream: OpenStream
) -> None:
    write(shop, shop=TEN_LINES)
    server = serve("gunicorn", *OURS, "shop:app", workers=1).wait_ready()
    open_stream(server.stream_url).wait_open()
    (before,) = server.worker_pids()
    assert server.child is not None
    server.child.signal(signal.SIGHUP)
    wait_until(lambda: before not in server.worker_pids(), BOUND_S, "the old worker is gone")
    server.wait_ready()
    assert server.metric("rowcast_streams_total") == 1
    assert len([*server.temporary.glob("rowcast-metrics-*")]) == 1
    assert_serves(server, open_stream, order, "/stream")


def test_a_new_master_goes_on_counting_and_the_last_cleans_up(
    serve: Serve, shop: Path, open_stream: OpenStream
) -> None:
    write(shop, shop=TEN_LINES)
    server = serve("gunicorn", *OURS, "--pid", "old.pid", "shop:app", workers=1).wait_ready()
    stream = open_stream(server.stream_url).wait_open()
    assert server.child is not None
    server.child.signal(signal.SIGUSR2)
    new_pid = shop / "old.pid.2"
    wait_until(lambda: new_pid.exists() and new_pid.read_text().strip(), BOUND_S, "a new master")
    new_master = psutil.Process(int(new_pid.read_text()))
    try:
        wait_until(lambda: server.log().count("started server=") == 2, BOUND_S, "its worker")
        os.kill(server.child.pid, signal.SIGTERM)
        server.child.wait(BOUND_S)
        assert len([*server.temporary.glob("rowcast-metrics-*")]) == 1
        assert server.metric("rowcast_streams_total") == 1
        assert server.metric("rowcast_streams_open") == 1, "it has moved"
        assert not stream.eof
    finally:
        new_master.terminate()
        wait_until(lambda: has_ended(new_master), BOUND_S, "the end of the new master")
    assert [*server.temporary.glob("rowcast-*")] == []


def test_json_lines_of_ours_are_json(serve: Serve, shop: Path, open_stream: OpenStream) -> None:
    write(shop, shop=TEN_LINES)
    env = {"ROWCAST_LOG_FORMAT": "json", "ROWCAST_LOG_LEVEL": "debug"}
    server = serve("gunicorn", *OURS, "shop:app", workers=1, **env).wait_ready()
    open_stream(server.stream_url).wait_open()
    server.terminate()  # within a bound of its own
    lines = server.log().splitlines()
    ours = [json.loads(line) for line in lines if not line.startswith("[")]  # gunicorn's begin so
    events = [line["event"] for line in ours]
    assert [event for event in events if event != "limit"] == [
        "started",
        "room for streams",
        "limits",
        "stream opened",
        "stream closed",
    ]
    assert all(line["pid"] and line["level"] and line["timestamp"] for line in ours)
    assert {line.get("feed") for line in ours[2:]} == {"orders"}
