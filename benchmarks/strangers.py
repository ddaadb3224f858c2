"""`python -m benchmarks.strangers`: what an anonymous request costs the worker that serves it.

Each attack is a request of at most 64 KB that anybody may send, here to a wall of its own on
loopback, over a table of 200,000 rows. Cost is the worker's CPU time, as the kernel counts it, less
what it uses at rest. The goal: 100 ms, and 60 µs more for each row that is sent.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks import machine
from benchmarks.case import folder
from benchmarks.measure import cpu_s
from benchmarks.tables import number, table
from poller.ids.cursor import Cursor
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres

ROWS, FEW_ROWS = 200_000, 8_000
HOSTILE, FEW_HOSTILE = 60, 6
REQUEST_MS, ROW_US = 100.0, 60.0  # the goal
LEAVES_S = 1.0  # after which a client that leaves has left
LONGEST_S = 120.0  # for one attack
REST_S = 1.0
CALM_S, CALM_MS = 0.25, 10.0  # so long with so little CPU, and the worker is at rest again
PROBE_S = 0.02
BODY = "a row of some eighty characters, as people write them on a wall when they are new to it"
MARKS = "a" + "\u0301\u0316" * 15_000  # 60 KB, and canonical order sorts them


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql", "mariadb"]))
@click.option("--short", is_flag=True, help="Few rows and clients: does it work at all?")
def main(database: str | None, *, short: bool) -> None:
    """Attack a wall on DATABASE (default: SQLite, then PostgreSQL), and print what it cost."""
    machine.prepare()
    met = True
    for name in [database] if database else ["sqlite", "postgresql"]:
        rows = [*attacks(name, FEW_ROWS if short else ROWS, FEW_HOSTILE if short else HOSTILE)]
        click.echo(f"\n{name}\n\n{shown(rows)}")
        met &= all(one.within for one in rows)
    sys.exit(not met)


@dataclass(frozen=True)
class Cost:
    """What one attack cost, and what it may cost."""

    name: str
    requests: int
    rows: int
    cpu_ms: float
    health_ms: float

    @property
    def allowed_ms(self) -> float:
        return self.requests * REQUEST_MS + self.rows * ROW_US / 1000

    @property
    def within(self) -> bool:
        return self.cpu_ms <= self.allowed_ms


def shown(costs: Sequence[Cost]) -> str:
    heads = ("attack", "requests", "rows sent", "CPU", "allowed", "longest wait of /healthz")
    lines = [
        (
            one.name,
            one.requests,
            f"{one.rows:,}",
            f"{number(one.cpu_ms)} ms",
            f"{number(one.allowed_ms)} ms{'' if one.within else ' (exceeded)'}",
            f"{number(one.health_ms)} ms",
        )
        for one in costs
    ]
    return table(heads, lines)


def attacks(database: str, rows: int, hostile: int) -> Iterator[Cost]:
    with folder() as place, a_database(database, place) as url:
        env = {"DATABASE_URL": url, "ROWCAST_MAX_STREAMS_PER_ADDRESS": "0"}
        with Gunicorn(place, env) as server:
            server.wait_ready()
            fill(url, rows)
        with Gunicorn(place, env) as server:
            server.wait_ready()
            target = Target(server)
            yield target.page()
            yield target.post("a post of combining marks", {"author": "ann", "body": MARKS})
            yield target.post("an author of combining marks", {"author": MARKS, "body": "hello"})
            top = rows - 1
            yield target.stream("an honest client, far behind", Cursor.at(top - top // 4))
            yield target.stream("a token of 2,970 gaps of 1", holed(top, 2_970, 1, 1))
            yield target.stream("a token of gaps of 33", holed(top, min(742, rows // 40), 33, 1))
            yield target.stream("a token of gaps far apart", holed(top, 480, 1, rows // 500))
            some = [holed(top - one, 2_970, 1, 1) for one in range(hostile)]
            yield target.crowd(f"{hostile} tokens of 2,970 gaps, all different", some)
            some = [holed(top - one, min(742, rows // 40), 33, 1) for one in range(hostile)]
            yield target.left_by(f"{hostile} of the gaps of 33, once they left", some)


def holed(top: int, gaps: int, size: int, apart: int) -> Cursor:
    """All ids up to `top` but for so many gaps of `size`, with so many ids between two."""
    step = size + apart
    return Cursor.at(
        top, [(at, at + size - 1) for at in range(top - gaps * step, top - size, step)]
    )


class Target:
    """One wall, and what it costs to ask it for something."""

    def __init__(self, server: Gunicorn) -> None:
        self._server = server
        self._pids = server.worker_pids()
        self._epoch = self._read_epoch()
        self._at_rest = 0.0  # seconds of CPU a second

    def page(self, times: int = 50) -> Cost:
        return self._measured("the page", times, lambda: self._get_pages(times))

    def post(self, name: str, written: dict[str, str]) -> Cost:
        said = json.dumps(written, ensure_ascii=False).encode()
        head = {"Content-Type": "application/json"}

        def send() -> int:
            request(f"{self._server.url}/posts", "POST", said, head, LONGEST_S)
            return 0

        return self._measured(name, 1, send)

    def stream(self, name: str, cursor: Cursor) -> Cost:
        return self._measured(name, 1, lambda: self._read_to_the_end(cursor))

    def crowd(self, name: str, cursors: Sequence[Cursor]) -> Cost:
        """All at once, each read to its end."""

        def attack() -> int:
            with ThreadPoolExecutor(len(cursors)) as pool:
                return sum(pool.map(self._read_to_the_end, cursors))

        return self._measured(name, len(cursors), attack)

    def left_by(self, name: str, cursors: Sequence[Cursor]) -> Cost:
        """What they cost after they left, which is nothing: the allowance is that of one."""
        with ExitStack() as clients:
            for cursor in cursors:
                clients.enter_context(closing(self._open(f"{self._epoch}.{cursor.token()}")))
            time.sleep(LEAVES_S)
            clients.close()
            return self._measured(name, 1, lambda: 0, rest_s=0)

    def _measured(
        self, name: str, requests: int, attack: Callable[[], int], rest_s: float = REST_S
    ) -> Cost:
        click.echo(name, err=True)
        with self._probing() as waits:
            if rest_s:
                before = cpu_s(self._pids)
                time.sleep(rest_s)
                self._at_rest = (cpu_s(self._pids) - before) / rest_s
            waits.clear()
            began_s, before = time.monotonic(), cpu_s(self._pids)
            rows = attack()
            self._wait_calm()
            used_s = cpu_s(self._pids) - before - self._at_rest * (time.monotonic() - began_s)
        return Cost(name, requests, rows, 1000 * max(0.0, used_s), 1000 * max(waits, default=0.0))

    @contextmanager
    def _probing(self) -> Iterator[list[float]]:
        """Asks for /healthz all the time, and keeps how long each answer took."""
        waits: list[float] = []
        stop = threading.Event()

        def probe() -> None:
            while not stop.wait(PROBE_S):
                began_s = time.monotonic()
                with suppress(OSError):
                    request(f"{self._server.url}/healthz", timeout_s=LONGEST_S)
                waits.append(time.monotonic() - began_s)

        thread = threading.Thread(target=probe)
        thread.start()
        try:
            yield waits
        finally:
            stop.set()
            thread.join()

    def _wait_calm(self) -> None:
        """Until the worker does no more than at rest."""
        end_s = time.monotonic() + LONGEST_S
        while time.monotonic() < end_s:
            before = cpu_s(self._pids)
            time.sleep(CALM_S)
            if 1000 * (cpu_s(self._pids) - before - self._at_rest * CALM_S) < CALM_MS:
                return

    def _get_pages(self, times: int) -> int:
        for _ in range(times):
            request(f"{self._server.url}/", timeout_s=LONGEST_S)
        return 0

    def _open(self, last_event_id: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._server.port), LONGEST_S)
        head = f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {last_event_id}\r\n\r\n"
        client.sendall(head.encode())
        return client

    def _read_epoch(self) -> str:
        with closing(self._open("reload")) as client:
            got = b""
            while (found := re.search(rb"\nid: ([0-9a-f]+)\.", got)) is None:
                got += client.recv(65_536)
        return found[1].decode()

    def _read_to_the_end(self, cursor: Cursor) -> int:
        """The rows sent until the stream says that it is live."""
        rows, kept = 0, b""
        with closing(self._open(f"{self._epoch}.{cursor.token()}")) as client:
            while b"event: live" not in kept:
                data = client.recv(65_536)
                assert data, f"the stream ended after {rows} rows"
                rows += (kept[-20:] + data).count(b'data: {"id"') - kept[-20:].count(b'data: {"id"')
                kept = kept[-20:] + data
        return rows


@contextmanager
def a_database(name: str, place: Path) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{place / 'strangers.sqlite3'}"
        return
    with (Postgres if name == "postgresql" else MariaDB)() as server:
        yield server.create_database()


def fill(url: str, rows: int) -> None:
    for at in range(0, rows, 10_000):
        sql.insert_posts(url, [BODY] * min(10_000, rows - at))


if __name__ == "__main__":
    main()
