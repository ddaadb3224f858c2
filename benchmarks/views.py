"""`python -m benchmarks.views [CASES]`: what filters cost, with a view of its own for each stream.

A real feed on an SQLite file, streams on loopback TCP; the reader and the writer are processes of
their own. The CPU time is the serving process's, poll and encoding included; `nobody` is that floor
alone. Compare the cases of one run with each other: a busy machine changes them all.

| case | streams | rows |
|---|---|---|
| `nobody` | none | polled and encoded |
| `none` | a view each | match none of them |
| `each` | a view each | each for one of them |
| `all` | no filter | for all, few a second |
| `one` | a view that all share | for all, few a second |
| `storm` | a view each, all come back at once, at ids of their own | read from the table |

The goals: `none` within 20 % of `nobody`, `each` no more than twice it and 99 % of its rows within
the poll interval and 100 ms; `one` as `all`; a storm reads the table at most 10 times.
"""

from __future__ import annotations

import multiprocessing as mp
import random
import re
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import gevent
from gevent import monkey

from benchmarks import machine
from benchmarks.case import folder, steadily
from benchmarks.measure import quantile
from benchmarks.tables import number, table
from poller.access.admission import Admission
from poller.delivery.view import ALL, View
from poller.feed import Feed
from poller.reading.database import Database
from poller.runtime.settings import Settings
from poller.serving.owned_socket import OwnedSocket
from poller.serving.streams import StreamRequest
from poller.watch import Watch
from poller.wire import event_id
from tests.harness import sql

POLL_S = 0.1
FEW_ROWS_PER_S = 2  # where each is for all
STORM_ROWS, STORM_LOG_ROWS = 6_000, 1_000
SETTLE_S = 2.0
PATIENCE_S = 120.0
CREATE = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, at REAL, text TEXT)",
    "CREATE INDEX notes_owner ON notes (owner, id)",
)
TEXT = "x" * 80
AT = re.compile(rb'"at":([0-9.]+)')
HEADS = ("case", "CPU", "of `nobody`", "sent rows/s", "median", "99 %", "queries")


# -- processes of their own ------------------------------------------------------------------


def reads(told: Connection) -> None:
    """Accepts streams; answers each message with what came since the last: the delays of rows in
    seconds, from their insert, and how many streams said that they are live."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener, select.epoll() as poll:
        told.send(listener.getsockname()[1])
        for one in (listener, told):
            poll.register(one, select.EPOLLIN)
        clients: dict[int, socket.socket] = {}
        delays: list[float] = []
        live = 0
        while True:
            for fd, _ in poll.poll():
                if fd == listener.fileno():
                    client, _ = listener.accept()
                    client.setblocking(False)
                    poll.register(client, select.EPOLLIN)
                    clients[client.fileno()] = client
                elif fd == told.fileno():
                    if told.recv() == "end":
                        return
                    told.send((delays, live))
                    delays, live = [], 0
                elif data := clients[fd].recv(1 << 16):
                    now = time.monotonic()
                    delays += [now - float(at) for at in AT.findall(data)]
                    live += data.count(b"event: live")
                else:
                    poll.unregister(fd)
                    clients.pop(fd).close()


def writes(told: Connection, url: str, streams: int) -> None:
    """Inserts rows of owners by chance, or of one, when it is told: owner, rows/s and seconds."""
    connection = sql.open_connection(url)
    while (order := told.recv()) != "end":
        owner, per_s, for_s = order

        def send(rows: int, owner: str = owner) -> None:
            names = (owner or f"u{random.randrange(streams)}" for _ in range(rows))
            found = [(name, time.monotonic(), TEXT) for name in names]
            connection.executemany("INSERT INTO notes (owner, at, text) VALUES (?, ?, ?)", found)
            connection.commit()

        steadily(send, per_s, for_s)
        told.send(None)
    connection.close()


@contextmanager
def process(work: Any, *arguments: object) -> Iterator[Connection]:
    ours, theirs = mp.Pipe()
    running = mp.get_context("spawn").Process(target=work, args=(theirs, *arguments), daemon=True)
    running.start()  # on the cores of this process
    try:
        with machine.on_cores(machine.SERVER_CORES):
            yield ours
    finally:
        ours.send("end")
        running.join(10)


def answer(of: Connection) -> Any:
    """Without keeping the streams waiting."""
    while not of.poll():
        gevent.sleep(0.01)
    return of.recv()


# -- the serving process ---------------------------------------------------------------------


class Serving:
    """A feed with a poller that runs, and its streams."""

    def __init__(self, url: str, port: int, **settings: Any) -> None:
        self._port = port
        chosen = Settings(poll_interval_s=POLL_S, idle_interval_s=POLL_S, **settings)
        watch = Watch("notes", "notes", columns=["id", "at", "text"], filters=["owner"])
        self.database = Database(url)
        self.feed = Feed(watch, self.database, chosen)
        self.queries = 0
        read = self.feed.source.page

        def counted(*arguments: Any) -> Any:
            self.queries += 1
            return read(*arguments)

        self.feed.streams._page_of_table = counted  # noqa: SLF001
        self.feed.start()
        self._until(lambda: self.feed.log.ready)

    def connected(self) -> socket.socket:
        plain = monkey.get_original("socket", "SocketType")
        client: socket.socket = plain(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(("127.0.0.1", self._port))
        client.setblocking(False)
        return client

    def open(
        self, view: View, last_event_id: str | None = None, client: socket.socket | None = None
    ) -> None:
        client = client or self.connected()
        place = Admission(10**6).ticket(None)
        asked = StreamRequest(last_event_id, "", place, nullcontext, view)
        self.feed.streams.fan_out(asked, OwnedSocket(client))

    def view(self, owner: str) -> View:
        return self.feed.view({"owner": [owner]})

    def close(self) -> None:
        self.feed.close()
        self._until(lambda: not self.feed.streams)
        gevent.sleep(1)  # so that the fanout sees it
        self.database.close()

    @staticmethod
    def _until(fact: Any) -> None:
        with gevent.Timeout(PATIENCE_S):
            while not fact():
                gevent.sleep(0.02)


class Bench:
    def __init__(self, streams: int, rows_per_s: int, seconds: float) -> None:
        self.streams = streams
        self.rows_per_s = rows_per_s
        self.seconds = seconds

    def run(self, case: str, place: Path) -> dict[str, float]:
        url = f"sqlite:///{place}/notes.db"
        with sql.connect(url) as connection:
            for statement in ("PRAGMA journal_mode=WAL", *CREATE):
                connection.execute(statement)
        with process(reads) as reader, process(writes, url, self.streams) as writer:
            port = reader.recv()
            if case == "storm":
                return self._storm(url, port, reader)
            serving = Serving(url, port)
            try:
                return self._steady(case, serving, reader, writer)
            finally:
                serving.close()

    def _steady(
        self, case: str, serving: Serving, reader: Connection, writer: Connection
    ) -> dict[str, float]:
        for at in range(0 if case == "nobody" else self.streams):
            owner = {"all": None, "one": "u0"}.get(case, f"u{at}")
            serving.open(ALL if owner is None else serving.view(owner))
            if at % 100 == 0:
                gevent.sleep(0.01)
        gevent.sleep(SETTLE_S)
        reader.send("report")
        answer(reader)
        owner = {"none": "nobody", "all": "u0", "one": "u0"}.get(case, "")
        per_s = FEW_ROWS_PER_S if case in ("all", "one") else self.rows_per_s
        began, cpu = time.monotonic(), time.process_time()
        writer.send((owner, per_s, self.seconds))
        answer(writer)
        gevent.sleep(2 * POLL_S)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        gevent.sleep(SETTLE_S)
        reader.send("report")
        delays, _ = answer(reader)
        return {
            "cpu": cpu / took,
            "sent": len(delays) / took,
            "median": quantile(delays, 0.5),
            "p99": quantile(delays, 0.99),
            "queries": serving.queries,
        }

    def _storm(self, url: str, port: int, reader: Connection) -> dict[str, float]:
        rows = [(f"u{at % self.streams}", 0.0, TEXT) for at in range(STORM_ROWS)]
        with sql.connect(url) as connection:
            connection.executemany("INSERT INTO notes (owner, at, text) VALUES (?, ?, ?)", rows)
        serving = Serving(url, port, log_capacity_rows=STORM_LOG_ROWS)
        clients = [serving.connected() for _ in range(self.streams)]
        began, cpu = time.monotonic(), time.process_time()
        lacked = STORM_ROWS - STORM_LOG_ROWS
        for at, client in enumerate(clients):
            view = serving.view(f"u{at}")
            prefix = event_id.prefix(serving.feed.log.epoch, view.tag)
            serving.open(view, f"{prefix}.{random.randrange(lacked)}", client)
            if at % 20 == 0:
                gevent.sleep(0)
        live = 0
        while live < self.streams:
            reader.send("report")
            live += answer(reader)[1]
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        queries = serving.queries
        serving.close()
        return {"seconds": took, "cpu_s": cpu, "queries": queries}


def line(case: str, found: Mapping[str, float], floor: float) -> tuple[object, ...]:
    if case == "storm":
        cpu = f"{number(found['cpu_s'])} s in {number(found['seconds'])} s"
        return (case, cpu, "", "", "", "", found["queries"])
    return (
        case,
        f"{100 * found['cpu']:.1f} %",
        f"{found['cpu'] / floor:.2f}" if floor else "",
        f"{found['sent']:,.0f}",
        *(f"{1000 * found[name]:.0f} ms" for name in ("median", "p99")),
        found["queries"],
    )


CASES = ("nobody", "none", "each", "all", "one", "storm")


@click.command()
@click.argument("cases", nargs=-1, type=click.Choice(CASES))
@click.option("--streams", default=10_000, show_default=True)
@click.option("--rows", default=1_000, show_default=True, help="A second.")
@click.option("--seconds", default=10.0, show_default=True, help="For each case.")
def main(cases: tuple[str, ...], *, streams: int, rows: int, seconds: float) -> None:
    """Measure CASES, by default all."""
    machine.prepare()
    bench, lines, floor = Bench(streams, rows, seconds), [], 0.0
    for case in cases or CASES:
        click.echo(case, err=True)
        with ExitStack() as stack:
            found = bench.run(case, stack.enter_context(folder()))
        floor = found["cpu"] if case == "nobody" else floor
        lines.append(line(case, found, floor))
    click.echo(table(HEADS, lines))


if __name__ == "__main__":
    main()
