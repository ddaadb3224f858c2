"""What is looked at: a server, perhaps a proxy, and rows that come meanwhile or not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import contenders
from poller.probing.address import Address
from poller.probing.finding import GOOD
from poller.probing.look import Asked, look
from poller.probing.observed import Observed
from tests.campaigns.probes.ill import ILL, KINDS, spoiled
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.proxies import Proxy
from tests.harness.sse import Stream
from tests.poller.probing.expected import EXPECTED

ORIGIN = "https://shop.example"
HEARTBEAT_S = 3
SECONDS = 8.0
EVERY_S = 0.3  # a row
BEHIND_A_PROXY = {
    "ROWCAST_PROXIES": "1",
    "ROWCAST_TRUSTED_HOSTS": "wall.example.org,127.0.0.1",
    "ROWCAST_HEARTBEAT": str(HEARTBEAT_S),
}
STRANGERS = ("nchan", "sse-starlette")
QUIET = ("nginx-cuts", "haproxy-cuts", "apache-cuts")  # a row would keep it open
LARGE = "nginx-buffers-large-rows"  # which fill buffers
FULL, AWAY = "rowcast-full", "rowcast-without-its-table"
LARGE_ROW = "x" * 900


def names() -> list[str]:
    """Of all scenes."""
    return [*EXPECTED]


def observe(name: str, folder: Path) -> Observed:
    """Raises PartMissing where this machine lacks what it needs."""
    stranger = next((one for one in STRANGERS if name.endswith(one)), "")
    if stranger:
        return _stranger(stranger, name.removesuffix(stranger).removesuffix("-"), folder)
    database = f"sqlite:///{folder / 'probes.sqlite3'}"
    quiet = name in ("rowcast-quiet", *QUIET)
    row = LARGE_ROW if name == LARGE else "a row"
    add = _nothing if quiet else partial(sql.insert_posts, database, [row])
    few = {"ROWCAST_MAX_STREAMS": "1"} if name == FULL else {}
    with Gunicorn(folder, {**BEHIND_A_PROXY, **few, "DATABASE_URL": database}) as server:
        server.wait_ready()
        if name == FULL:
            with Stream(server.stream_url) as only:
                only.wait_open()
                return _look(server.stream_url, _nothing)
        if name == AWAY:
            sql.execute(database, "DROP TABLE posts")
            wait_until(lambda: server.get("/readyz").status != GOOD, 30, "the loss is noticed")
            return _look(server.stream_url, _nothing)
        if name in ("rowcast", "rowcast-quiet"):
            return _look(server.stream_url, add)
        with _proxy(name, server.port) as proxy:
            return _look(f"{proxy.tls_url}/stream", add)


def _proxy(name: str, port: int) -> Proxy:
    kind, edits = ILL.get(name.removesuffix("-large-rows"), (name, {}))
    return spoiled(KINDS[kind], edits)(port)


def _stranger(name: str, proxy_name: str, folder: Path) -> Observed:
    with contenders.make(name, folder) as server:
        if not proxy_name:
            return _look(server.url, server.publish)
        with _proxy(proxy_name, server.port) as proxy:
            return _look(f"{proxy.tls_url}/stream", server.publish)


def _nothing() -> None:
    """No row."""


def _look(url: str, add: Callable[[], object]) -> Observed:
    """While rows are added, beginning before the look and ending after it."""
    ended = threading.Event()

    def keep_adding() -> None:
        while not ended.wait(EVERY_S):
            add()

    writer = threading.Thread(target=keep_adding)
    writer.start()
    try:
        return look(Asked(Address.of(url), SECONDS, {}, ORIGIN, insecure=True))
    finally:
        ended.set()
        writer.join()
