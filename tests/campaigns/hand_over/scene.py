"""A server with clients that watch each row, and a writer, for a part of the campaign."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import click
import psutil

from tests.campaigns.hand_over.clients import Clients
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.moves import spread
from tests.harness.proxies import Proxy

EVERY_S = 0.01  # a row
BOUND_S = 200.0
CALM_S = 3.0
SIGNALS_S = 2.0  # until a worker that was forked listens to signals
ENV = {
    "ROWCAST_MAX_STREAMS_PER_ADDRESS": "0",
    "GUNICORN_CMD_ARGS": "--graceful-timeout 120 --timeout 120",
}
UNNOTICED = ("reconnects", "lost", "doubled", "cut")


class Scene:
    """Nothing happens outside `until()`. The clients come through the proxy, if there is one;
    `more` is for `Gunicorn`."""

    def __init__(
        self,
        folder: Path,
        streams: int,
        workers: int,
        proxy: Callable[[int], Proxy] | None = None,
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.url = f"sqlite:///{folder / 'moves.sqlite3'}"
        given = {"DATABASE_URL": self.url, "FATE": str(folder / "fate")}
        (folder / "fate").mkdir()
        self.fate = folder / "fate"
        self.server = Gunicorn(folder, ENV | given | (env or {}), workers=workers, **more)
        self.proxy = proxy(self.server.port) if proxy else None
        self.streams = streams
        self._rows, self._due, self.calm_s = 0, 0.0, 0.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.server.end)
            self.server.start()
            self.server.wait_ready(BOUND_S)
            at = stack.enter_context(self.proxy).url if self.proxy else self.server.url
            self.clients = Clients(f"{at}/stream", self.streams, 0)
            stack.callback(self.clients.close)
            self.clients.open()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def until(self, fact: Callable[[], object], what: str) -> None:
        look = 0.0

        def written() -> bool:
            nonlocal look
            now = time.monotonic()
            if now >= self._due:
                self._due = max(now, self._due + EVERY_S)
                self._rows += 1
                sql.insert_posts(self.url, [f"row {self._rows}"])
            if now < look:
                return False
            look = now + 0.2
            return bool(fact())

        try:
            self.clients.until(written, BOUND_S, what)
        except AssertionError:
            click.echo(self.server.log()[-20_000:])
            raise

    def begin(self) -> None:
        """Notes how long clients wait for a row while nothing happens; from here on, it may."""
        self.a_while(CALM_S)
        self.calm_s = self.clients.told()["longest_silence_s"]
        self.clients.calm()

    def a_while(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, "a while")

    def reload(self) -> None:
        before = self.server.worker_pids()
        self.signal(signal.SIGHUP)
        self.until_gone(before)

    def settle(self) -> None:
        """Until all clients are live, and the successor of one that was killed has begun. gunicorn
        loses a signal to a worker that it has just forked, and then waits for that one for long."""
        whole = self.server.workers
        self.until(lambda: len(self.server.worker_pids()) == whole, "all workers are there")
        self.until(lambda: all(one.live for one in self.clients.all), "all are open again")
        self.a_while(SIGNALS_S)

    def signal(self, number: int) -> None:
        assert self.server.child is not None
        self.server.child.signal(number)

    def until_gone(self, pids: list[int]) -> None:
        self.until(lambda: not {*pids} & {*self.server.worker_pids()}, f"the end of {pids}")

    def verdict(self) -> dict[str, object]:
        """When every client has every row."""
        rows = self._rows
        self.clients.until(
            lambda: all(one.last >= rows for one in self.clients.all), BOUND_S, "all rows"
        )
        return {**self.clients.told(), "rows_written": rows}

    def figures(self) -> dict[str, object]:
        """Of the workers: streams, descriptors and memory of each."""
        processes = [psutil.Process(pid) for pid in self.server.worker_pids()]
        return {
            "spread": sorted(spread(self.server).values()),
            "descriptors": [one.num_fds() for one in processes],
            "rss_mb": [round(one.memory_info().rss / 1e6) for one in processes],
        }

    def unnoticed(self, what: str) -> bool:
        """Whether nobody had to come back or missed anything; said with the figures."""
        told = self.verdict() | {"calm_s": self.calm_s}
        load = os.getloadavg()[0]
        click.echo(f"{what}, {self.streams} streams: {told}, load {load:.1f}")
        return all(told[one] == 0 for one in UNNOTICED)
