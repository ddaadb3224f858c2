"""HAProxy on the hub, with deploy/haproxy-machines.cfg: the machines behind one address.

It also passes the database on to the machines, since that listens on the hub's loopback alone.
"""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.machines import Star
from tests.harness.process import Child, wait_until
from tests.harness.proxies import DEPLOY, find, is_open, libraries

ADDRESSES = ("10.0.0.7:8000", "10.0.0.8:8000")  # in deploy/haproxy-machines.cfg
START_TIMEOUT_S = 20.0
WHOLE = """\
defaults
    mode http
    timeout client 1m

frontend wall
    bind 127.0.0.1:{port}
    use_backend stream if {{ path /stream }} or {{ path_beg /stream/ }}
    default_backend pages

{backends}
"""
DATABASE = """
listen database{number}
    mode tcp
    bind {address}:{port}
    timeout connect 5s
    timeout server 10m
    timeout client 10m
    server postgresql 127.0.0.1:{port}
"""


class Front:
    """To be started on the hub; `port` is the machines' there."""

    def __init__(self, folder: Path, star: Star, port: int, server_port: int, database: int):
        self.port = port
        backends = (DEPLOY / "haproxy-machines.cfg").read_text(encoding="utf-8")
        assert "/etc/haproxy/" in backends
        backends = backends.replace("/etc/haproxy/", f"{folder}/")
        for number, address in enumerate(ADDRESSES):
            assert address in backends
            backends = backends.replace(address, f"{star.address(number)}:{server_port}")
        text = WHOLE.format(port=port, backends=backends)
        for number, _ in enumerate(ADDRESSES):
            at = star.hub_address(number)
            text += DATABASE.format(number=number, address=at, port=database)
        self._config = folder / "haproxy.cfg"
        self._config.write_text(text, encoding="utf-8")
        shutil.copy(DEPLOY / "haproxy-away.http", folder)
        self._folder = folder
        self._child: Child | None = None

    @property
    def stream_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> Self:
        command = ["env", libraries(), find("haproxy"), "-db", "-f", self._config]
        self._child = Child(command, self._folder / "haproxy.log", cwd=self._folder)
        wait_until(self._listens, START_TIMEOUT_S, "HAProxy listens")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()

    def _listens(self) -> bool:
        assert self._child is not None
        assert self._child.alive, self._child.log()
        return is_open(self.port)
