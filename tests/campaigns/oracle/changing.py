"""The oracle by version: rows that change under every fault, and clients that keep a map of them.

At the end every client's map is the table. Nobody gets a row in a state that is older than one that
it had. A poller that asks for `updated_at > last`, as most do, is beside them and loses changes.
`make changes` runs it.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.campaigns.oracle import changing_clients
from tests.campaigns.oracle.cast import PROJECT
from tests.campaigns.oracle.changing_clients import Kept
from tests.campaigns.oracle.changing_writer import ROWS
from tests.campaigns.oracle.faults import ANYWHERE, LAGGING, ON_A_SERVER, ON_SQLITE, Kind
from tests.campaigns.oracle.mutants import VARIABLE
from tests.campaigns.oracle.proxy import NetworkPath
from tests.campaigns.oracle.records import now_s
from tests.campaigns.oracle.scene import Scene
from tests.campaigns.oracle.table import DatabaseErrors
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.mariadb import METADATA_LOCKS, MariaDB
from tests.harness.postgres import Postgres
from tests.harness.process import Child, wait_until
from tests.harness.server import DatabaseServer
from tests.harness.versions import run_recipe

WRITERS = 6
SETTLED_WITHIN_S = 60.0
AFTER_A_FAULT_S = 2.0  # until delays are those of calm again
SETTINGS = {
    "ROWCAST_POLL_INTERVAL": "0.2",
    "ROWCAST_BATCH": "50",
    "ROWCAST_LOG_CAPACITY": "100",
    "ROWCAST_POST_RATE": "",  # the wall's, which is not served here
    "ROWCAST_RETRY": "300",
    "ROWCAST_HEARTBEAT": "1",
    "ROWCAST_QUERY_TIMEOUT": "2",
}
TABLE = (
    "CREATE TABLE orders (id {}, body varchar(200), deleted_at timestamp NULL, updated_at {} NULL)"
)
SERVERS: dict[str, Callable[[], Postgres | MariaDB]] = {
    "postgresql": Postgres,
    "mariadb": MariaDB,
    "mariadb-mdl": lambda: MariaDB(*METADATA_LOCKS),
}
State = tuple[int, str | None]


@dataclass
class Result:
    """What came of it; `problems` in words, none if all is well."""

    problems: list[str]
    faults: int
    changes: int
    deletions: int
    connections: int
    naive_lost: int
    waits_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        waits = sorted(self.waits_s) or [0.0]
        return (
            f"{self.faults} faults, {self.changes} changes and {self.deletions} deletions taken on "
            f"{self.connections} connections; hot row in calm: {statistics.median(waits):.2f} s, "
            f"p99 {waits[int(len(waits) * 0.99)]:.2f} s; updated_at: {self.naive_lost} rows wrong; "
            f"{'; '.join(self.problems[:5]) or 'pass'}"
        )


def run(
    url: str, database: DatabaseServer | None, seed: int, seconds: float, folder: Path
) -> Result:
    """`database` is the server of `url`, where it has one."""
    with ExitStack() as stack:
        return Changes(url, database, seed, seconds, folder, stack).run()


class Changes:
    def __init__(
        self,
        url: str,
        database: DatabaseServer | None,
        seed: int,
        seconds: float,
        folder: Path,
        stack: ExitStack,
    ) -> None:
        self._url, self._seed, self._seconds, self._folder = url, seed, seconds, folder
        self._stack = stack
        self._random = random.Random(seed)
        self._writers: dict[str, Child] = {}
        self._struck: list[tuple[float, float]] = []
        self._problems: list[str] = []
        prepare(url)
        path = NetworkPath(folder, database.port) if database is not None else None
        if path is not None:
            stack.callback(path.end)
        served = url.replace(f":{database.port}/", f":{path.port}/") if database and path else url
        kill = lambda: self._write(self._kill_one(), "writer")  # noqa: E731
        servers = self._server("main", served, 2), self._server("lagging", served, 1)
        self._scene = Scene(url, *servers, folder, self._random, kill, database, path)
        self._naive = Naive(url)

    def run(self) -> Result:
        self._scene.wait_ready()
        urls = [self._scene.main.stream_url, self._scene.lagging.stream_url]
        clients = self._start("clients", "changing_clients", self._folder, self._seed, *urls)
        self._naive.start()
        self._stack.callback(self._naive.stopped.set)
        for number in range(1, WRITERS + 1):
            self._write(f"writer {number}", "writer")
        self._write("hot", "hot")
        self._write("holder", "holder")
        self._strike_all(now_s() + self._seconds)
        self._scene.wait_ready()
        for writer in self._writers.values():
            writer.signal(15)
            writer.wait(20)
        truth = read_truth(self._url)
        self._settle(truth)
        clients.end()
        return self._result(truth)

    def _strike_all(self, end_s: float) -> None:
        for kind in self._kinds():
            time.sleep(self._seconds / 30 * self._random.uniform(0.5, 1.5))
            began_s = now_s()
            try:
                kind.begin(self._scene)
                time.sleep(self._random.uniform(0.5, 2.0) if kind.lasts else 0)
            except (AssertionError, *DatabaseErrors) as error:
                self._problems.append(f"{kind.name} did not fire: {error}")
            kind.end(self._scene)
            self._scene.wait_ready()
            self._struck.append((began_s, now_s() + AFTER_A_FAULT_S))
        time.sleep(max(0.0, end_s - now_s()))

    def _kinds(self) -> list[Kind]:
        on_sqlite = sql.dialect_of(self._url) == "sqlite"
        kinds = [*ANYWHERE, LAGGING, *(ON_SQLITE if on_sqlite else ON_A_SERVER)]
        self._random.shuffle(kinds)
        return kinds

    # -- who takes part -----------------------------------------------------------------------

    def _server(self, name: str, url: str, workers: int) -> Gunicorn:
        folder = self._folder / name
        folder.mkdir()
        env = {"DATABASE_URL": url, VARIABLE: os.environ.get(VARIABLE, ""), **SETTINGS}
        app = "tests.campaigns.oracle.changing_app:app"
        return self._stack.enter_context(Gunicorn(folder, env, workers=workers, app=app))

    def _write(self, name: str, role: str) -> None:
        self._writers[name] = self._start(
            name, "changing_writer", role, self._url, name, self._seed
        )

    def _kill_one(self) -> str:
        name = self._random.choice([one for one in self._writers if one.startswith("writer")])
        self._writers[name].end()
        return name

    def _start(self, name: str, module: str, *arguments: object) -> Child:
        command = [sys.executable, "-m", f"tests.campaigns.oracle.{module}", *arguments]
        child = Child(command, self._folder / f"{name}.log", cwd=PROJECT)
        self._stack.callback(child.end)
        return child

    # -- the end ------------------------------------------------------------------------------

    def _settle(self, truth: dict[int, State]) -> None:
        """Until everybody has the table, or the time for that is over."""

        def settled() -> bool:
            return all(not wrong(kept.rows, truth) for kept in self._kept().values())

        with suppress(AssertionError):
            wait_until(settled, SETTLED_WITHIN_S, "every client has the table")

    def _kept(self) -> dict[str, Kept]:
        decode = msgspec.json.Decoder(Kept).decode
        names = changing_clients.NAMES
        paths = {name: changing_clients.path_of(self._folder, name) for name in names}
        return {name: decode(path.read_bytes()) for name, path in paths.items() if path.exists()}

    def _result(self, truth: dict[int, State]) -> Result:
        kept = self._kept()
        for name, one in kept.items():
            self._problems += [f"{name}, at the end: {text}" for text in wrong(one.rows, truth)]
            self._problems += [f"{name}, older: {text}" for text in one.older]
            self._problems += [f"{name}, reset: {text}" for text in one.resets]
        if len(kept) < len(changing_clients.NAMES):
            self._problems.append("a client never came")
        waits = [
            wait
            for at, wait in kept["steady"].waits
            if not any(began - wait <= at <= ended for began, ended in self._struck)
        ]
        return Result(
            self._problems,
            len(self._struck),
            sum(one.changes for one in kept.values()),
            sum(one.deletions for one in kept.values()),
            sum(one.connections for one in kept.values()),
            len(wrong(self._naive.rows, truth)),
            waits,
        )


class Naive(threading.Thread):
    """Asks for what has a later time than the latest that it has seen."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._last = url, ""
        self.rows: dict[int, State] = {}
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.2):
            with suppress(*DatabaseErrors):
                self._poll()

    def _poll(self) -> None:
        asked = f" WHERE updated_at > '{self._last}'" if self._last else ""
        statement = f"SELECT id, version, body, deleted_at, updated_at FROM orders{asked}"
        for key, version, body, deleted, at in sql.execute(self._url, statement):
            self.rows[key] = version, None if deleted else body
            self._last = max(self._last, str(at or ""))


def prepare(url: str) -> None:
    dialect = sql.dialect_of(url)
    updated = "timestamp" if dialect == "sqlite" else "timestamp(6)"
    sql.execute(url, TABLE.format(sql.KEY_TYPES[dialect], updated))
    if dialect == "sqlite":
        sql.execute(url, "PRAGMA journal_mode = WAL")
    for _ in range(ROWS):
        sql.execute(url, "INSERT INTO orders (body) VALUES ('first')")
    run_recipe(url)


def read_truth(url: str) -> dict[int, State]:
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT id, version, body, deleted_at FROM orders")
        return {key: (v, None if gone else body) for key, v, body, gone in cursor.fetchall()}


def wrong(rows: dict[int, State], truth: dict[int, State]) -> list[str]:
    """What is not as in the table. Of a row that is gone nobody is told the version."""
    found = []
    for key, state in truth.items():
        seen = rows.get(key, (0, None))
        if seen != state and not (seen[1] is None and state[1] is None):
            found.append(f"row {key} is {seen}, not {state}")
    return found


def main(arguments: list[str]) -> int:
    databases = (*SERVERS, "sqlite")
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.oracle.changing")
    parser.add_argument("--databases", nargs="+", default=databases, choices=databases)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args(arguments)
    failed = 0
    for name in given.databases:
        with ExitStack() as stack:
            server = stack.enter_context(SERVERS[name]()) if name in SERVERS else None
            for seed in given.seeds:
                folder = Path(tempfile.mkdtemp(prefix=f"changes-{name}-{seed}-"))
                url = server.create_database() if server else f"sqlite:///{folder}/changes.sqlite3"
                result = run(url, server, seed, given.seconds, folder)
                failed += bool(result.problems)
                print(f"{name}, seed {seed}: {result}", flush=True)  # noqa: T201
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
