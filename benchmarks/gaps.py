"""`python -m benchmarks.gaps encode|delay`: what gaps cost while somebody keeps them open.

`encode` simulates the loop: a real poller and log over a table in memory, in which one transaction
stays open. `delay` is a wall on a real database: one transaction stays open throughout, rows are
committed beside it, and before each an id is burnt, as a rollback or an upsert does. The goals:
4,000 rows a second of CPU at 50,000 gaps; a median of 0.4 s and 1.5 s at most from commit to
receipt on PostgreSQL, 0.6 and 2.5 s on MariaDB, where every poll has to read all gaps.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import click

from benchmarks import machine
from benchmarks.case import folder, steadily
from benchmarks.contenders import Rowcast
from benchmarks.measure import cpu_s, quantile
from benchmarks.tables import number, table
from poller.delivery.event_log import EventLog
from poller.ids.cursor import Cursor
from poller.ids.gaps import Gaps
from poller.polling.loop import Poller
from poller.reading.fence import Pass
from poller.reading.snapshot import Reading
from poller.wire.row import Row
from tests.harness import sql
from tests.harness.http import request
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.server import DatabaseServer
from tests.harness.simulation import NO_CONNECTION, SimulatedSource, SimulatedTable, settings

BATCH_ROWS = 499
BATCHES = 10
SERVERS: dict[str, Callable[[], DatabaseServer]] = {
    "postgresql": Postgres,
    "mariadb": MariaDB,
    "mariadb-mdl": lambda: MariaDB(*METADATA_LOCKS),
}
ROWS_PER_S = 150
CLIENTS, RECONNECT_S = 20, 5.0
PROBE_S = 0.05
SETTLE_S = 20.0  # for what is still on its way at the end


@click.group()
def main() -> None:
    """Measure what open gaps cost."""


# -- the loop, simulated --------------------------------------------------------------------


class Scripted(SimulatedSource):
    """Gives each pass the rows that it was told, at no cost of its own."""

    rows: Sequence[Row] = ()

    def read(self, cursor: Cursor, gaps: Gaps, limit: int, *, thorough: bool = False) -> Pass:
        evidence = self.fence.look(NO_CONNECTION, ()) if gaps.all else None
        unread = gaps.unchanged(lambda witness: self.fence.must_read(witness, evidence))
        rows, self.rows = [*self.rows], ()
        top = max(rows[-1].id if rows else 0, cursor.position)
        return Pass(evidence, unread, Reading(self._history, top, rows))


class Loop:
    """A poller whose table has one open transaction, which owns the first id."""

    def __init__(self) -> None:
        table = SimulatedTable()
        table.begin()
        self.top = 1
        self._source = Scripted(table)
        chosen = settings(batch_rows=500, log_capacity_rows=10_000)
        log = EventLog(chosen.log_capacity_rows, chosen.log_capacity_bytes)
        self.poller = Poller("gaps", self._source, log, chosen, lambda: True)
        self.poller.poll()

    def batch(self, step: int) -> float:
        """A pass that finds rows, each so far above the one before; its seconds of CPU."""
        ids = range(self.top + step, self.top + step * BATCH_ROWS + 1, step)
        self.top = ids[-1]
        self._source.rows = [Row(one, {"id": one, "body": f"row {one}"}) for one in ids]
        began = time.process_time()
        self.poller.poll()
        return time.process_time() - began

    def empty_pass(self) -> float:
        began = time.process_time()
        self.poller.poll()
        return time.process_time() - began


@main.command()
@click.argument("gaps", nargs=-1, type=int)
def encode(gaps: Sequence[int]) -> None:
    """Rows a second of CPU in batches of 499, and what an empty pass takes, at GAPS open gaps."""
    loop, lines = Loop(), []
    for count in sorted(gaps or (100, 1_000, 5_000, 20_000, 50_000)):
        while loop.top // 2 < count:
            loop.batch(step=2)
        empty_s = min(loop.empty_pass() for _ in range(10))
        rates = [
            BATCH_ROWS * BATCHES / sum(loop.batch(step) for _ in range(BATCHES)) for step in (1, 2)
        ]
        lines.append(
            (f"{count:,}", *(f"{rate:,.0f}" for rate in rates), f"{1000 * empty_s:.2f} ms")
        )
    click.echo(
        table(("gaps", "rows/s, no new gap", "rows/s, a gap before each", "empty pass"), lines)
    )


# -- a wall on a real database --------------------------------------------------------------


class Reader:
    """A client that notes when each row comes, or only where it is. Reconnects every few seconds
    if it is told to."""

    def __init__(self, port: int, *, stays: bool) -> None:
        self._port = port
        self._stays = stays
        self._stop = threading.Event()
        self.delays: dict[str, float] = {}  # by the row's text, which is when it was committed
        self.twice = 0
        self._last_id = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError), closing(self._open()) as client:
                self._read(client, time.monotonic() + (1e9 if self._stays else RECONNECT_S))

    def _open(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._port), 10)
        client.settimeout(0.5)
        resume = f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""
        client.sendall(f"GET /stream HTTP/1.0\r\nHost: 127.0.0.1\r\n{resume}\r\n".encode())
        return client

    def _read(self, client: socket.socket, until_s: float) -> None:
        rest = b""
        while not self._stop.is_set() and time.monotonic() < until_s:
            with suppress(TimeoutError):
                if not (data := client.recv(1 << 16)):
                    return
                rest = self._take(rest + data)

    def _take(self, data: bytes) -> bytes:
        whole, end, rest = data.rpartition(b"\n\n")
        if end:
            now = time.monotonic()
            for text in re.findall(rb'"body":"at ([0-9.]+)"', whole) if self._stays else ():
                self.twice += text.decode() in self.delays
                self.delays.setdefault(text.decode(), now - float(text))
            if ids := re.findall(rb"^id: (\S+)", whole, re.MULTILINE):
                self._last_id = ids[-1].decode()
        return rest


class Writer:
    """Commits rows, and rolls one back before each."""

    def __init__(self, url: str) -> None:
        self._connection = sql.open_connection(url)
        self.times: list[str] = []

    def send(self, rows: int) -> None:
        cursor = self._connection.cursor()
        for _ in range(rows):
            insert = "INSERT INTO posts (author, body) VALUES ('gaps', %s)"
            cursor.execute(insert, ("burnt",))
            self._connection.rollback()
            self.times.append(f"{time.monotonic():.6f}")
            cursor.execute(insert, (f"at {self.times[-1]}",))
            self._connection.commit()


@contextmanager
def probing(url: str) -> Iterator[list[float]]:
    """Asks for /healthz all the time, and keeps how long each answer took."""
    waits: list[float] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.wait(PROBE_S):
            began_s = time.monotonic()
            with suppress(OSError):
                request(f"{url}/healthz", timeout_s=30)
            waits.append(time.monotonic() - began_s)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()


@main.command()
@click.argument("database", type=click.Choice([*SERVERS]))
@click.option("--seconds", default=60.0, show_default=True, help="With the transaction open.")
@click.option("--after", default=20.0, show_default=True, help="Seconds after its end.")
@click.option("--clients", default=CLIENTS, show_default=True, help="That reconnect every 5 s.")
@click.option("--other", type=click.Path(path_type=Path, resolve_path=True), help="A checkout.")
def delay(database: str, *, seconds: float, after: float, clients: int, other: Path | None) -> None:
    """From commit to receipt on DATABASE, while a transaction is open and after its end."""
    with ExitStack() as stack:
        url = stack.enter_context(SERVERS[database]()).create_database()
        place = stack.enter_context(folder())
        env = {"ROWCAST_POLL_INTERVAL": "0.5"}
        server = stack.enter_context(
            Rowcast(place, database_url=url, env=env, checkout=other or machine.PROJECT)
        )
        one = Reader(server.port, stays=True)
        several = [Reader(server.port, stays=False) for _ in range(clients)]
        waits = stack.enter_context(probing(server.server.url))
        lines = []
        with sql.Transaction(url) as holder:
            holder.insert_post("stays open")
            lines.append(_phase("open", server, url, one, waits, seconds))
            gaps = server.server.metric("rowcast_open_gaps")
        lines.append(_phase("ended", server, url, one, waits, after))
        for reader in (one, *several):
            reader.stop()
    heads = ("", "rows", "lost", "median", "99 %", "max", "/healthz p99", "max", "worker CPU")
    click.echo(f"{database}, {gaps:,.0f} gaps\n\n{table(heads, lines)}")


def _phase(
    name: str, server: Rowcast, url: str, reader: Reader, waits: list[float], for_s: float
) -> tuple[object, ...]:
    waits.clear()
    writer, pids = Writer(url), server.server.worker_pids()
    before = cpu_s(pids)
    steadily(writer.send, ROWS_PER_S, for_s)
    end_s = time.monotonic() + SETTLE_S
    while time.monotonic() < end_s and not reader.delays.keys() >= {*writer.times}:
        time.sleep(0.1)
    got = [reader.delays[one] for one in writer.times if one in reader.delays]
    return (
        name,
        len(writer.times),
        len(writer.times) - len(got),
        *(
            f"{number(value)} s"
            for value in (quantile(got, 0.5), quantile(got, 0.99), max(got, default=0.0))
        ),
        *(f"{number(1000 * value)} ms" for value in (quantile(waits, 0.99), max(waits))),
        f"{number(cpu_s(pids) - before)} s",
    )


if __name__ == "__main__":
    main()
