"""One torture: servers, writers, clients and faults are started, and everything is written down.

`run()` gives the record; `__main__.py` runs many and prints a table.
"""

import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.oracle import clients, journal
from tests.campaigns.oracle.faults import Kind, Scene, schedule
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.proxy import NetworkPath
from tests.campaigns.oracle.records import Attempt, Fault, Record, Sentinel, now_s, payload_of
from tests.campaigns.oracle.table import OTHER_TABLE, DatabaseErrors, read_truth
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import Child, wait_until
from tests.harness.server import DatabaseServer

PROJECT = Path(__file__).parents[3]
WRITERS = 10
POLL_INTERVAL_S = 0.2
STEP_S = 0.05
SERVED_WITHIN_S = 30.0  # the sentinel
START_TIMEOUT_S = 30.0
WRITER_END_S = 10.0
HISTORY_ROWS_PER_SECOND = 100  # of the torture; the writers take fewer ids
CALM_S = 3.0  # after the last fault, at least: so that delays can be measured
SENTINEL_AUTHOR = "sentinel"
# Bounds so small that a client which was away falls out of the ring, and a batch is often full.
SETTINGS = {
    "ROWCAST_POLL_INTERVAL": str(POLL_INTERVAL_S),
    "ROWCAST_BATCH": "50",
    "ROWCAST_LOG_CAPACITY": "200",
    "ROWCAST_RETRY": "300",
    "ROWCAST_HEARTBEAT": "1",
    "ROWCAST_QUERY_TIMEOUT": "2",
}


@dataclass(frozen=True)
class Plan:
    """What one torture is to be. `hold_s`: one more writer keeps a row open, so long to the end."""

    seed: int
    seconds: float
    faults: bool = True
    fault_s: tuple[float, float] = (0.5, 2.5)  # how long one lasts
    hold_s: float = 0.0


def run(url: str, database: DatabaseServer | None, plan: Plan, folder: Path) -> Record:
    """Runs it, with its journals in `folder`. `database` is the server of `url`, where it has one.

    Raises AssertionError where it could not be carried out, which is no verdict.
    """
    with ExitStack() as stack:
        return Torture(url, database, plan, folder, stack).run()


class Torture:
    def __init__(
        self,
        url: str,
        database: DatabaseServer | None,
        plan: Plan,
        folder: Path,
        stack: ExitStack,
    ) -> None:
        self._url = url
        self._plan = plan
        self._folder = folder
        self._stack = stack
        self._random = random.Random(f"{plan.seed}/conductor")
        self._journal = Journal(folder / "conductor.jsonl")
        self._writers: dict[str, Child] = {}
        self._holder: Child | None = None
        rows = int(plan.seconds * HISTORY_ROWS_PER_SECOND)
        self._history = [f"history {number}" for number in range(rows)]
        self._kinds = schedule(sql.dialect_of(url), self._random) if plan.faults else []
        path = NetworkPath(folder, database.port) if database is not None else None
        served = url.replace(f":{database.port}/", f":{path.port}/") if database and path else url
        if path is not None:
            stack.callback(path.end)
        stack.callback(self._journal.close)
        self._scene = Scene(
            url,
            self._server("main", served, 2),
            self._server("lagging", served, 1),
            folder,
            self._random,
            self._kill_a_writer,
            database,
            path,
        )

    def run(self) -> Record:
        self._scene.wait_ready()
        sql.execute(self._url, OTHER_TABLE)
        self._write_history()
        self._start_readers()
        end_s = now_s() + self._plan.seconds
        self._start_writers()
        self._strike_all()
        if self._plan.hold_s:
            time.sleep(self._plan.seconds - self._plan.hold_s)
            self._holder = self._start_writer("holder", "--hold", self._plan.hold_s, writes=False)
        time.sleep(max(CALM_S, end_s - now_s()))
        self._scene.wait_ready()
        self._end_writers()
        self._write_sentinel()
        return self._record()

    # -- who takes part ---------------------------------------------------------------------

    def _server(self, name: str, url: str, workers: int) -> Gunicorn:
        folder = self._folder / name
        folder.mkdir()
        env = {"DATABASE_URL": url, **SETTINGS}
        return self._stack.enter_context(Gunicorn(folder, env, workers=workers))

    def _start(self, name: str, module: str, *arguments: object) -> Child:
        command = [sys.executable, "-m", f"tests.campaigns.oracle.{module}", *arguments]
        child = Child(command, self._folder / f"{name}.log", cwd=PROJECT)
        self._stack.callback(child.end)
        return child

    def _write_history(self) -> None:
        """Rows from before; so many that after the truncation the ids do not come as far again.

        Where it leaves no other trace than lower ids (SQLite, MariaDB), a worker or a client that
        was away until they have passed the old ones is not told: a known limit, not tried here.
        """
        began_s = now_s()
        sql.insert_posts(self._url, self._history)
        rows, ended_s = read_truth(self._url).rows.items(), now_s()
        self._journal.write(
            *(Attempt("history", *row, began_s, ended_s, "committed") for row in rows)
        )
        self._scene.wait_ready()

    def _start_readers(self) -> None:
        servers = [self._scene.main.stream_url, self._scene.lagging.stream_url]
        self._start("clients", "clients", self._folder, self._plan.seed, *servers)
        self._start("naive", "naive", self._url, self._folder / "naive.jsonl", POLL_INTERVAL_S)
        last = payload_of(self._history[-1]).encode()

        def all_there() -> bool:
            paths = [journal.client_path(self._folder, name) for name in clients.NAMES]
            told = [path.read_bytes() for path in paths if path.exists()]
            placed = len(told) == len(paths) and all(b'"place"' in one for one in told)
            return placed and any(last in one for one in told)

        wait_until(all_there, START_TIMEOUT_S, "every client has its place, one all of history")

    def _start_writers(self) -> None:
        began_s = now_s()
        for number in range(1, WRITERS + 1):
            self._start_writer(f"writer {number}")
        self._start_writer("unrelated", "--unrelated", writes=False)
        paths = [self._folder / f"{name}.jsonl" for name in self._writers]

        def all_write() -> bool:
            return all(path.exists() and b'"committed"' in path.read_bytes() for path in paths)

        wait_until(all_write, START_TIMEOUT_S, "every writer has committed")
        # No fault, but ten programs that start keep both processors busy: no time for delays.
        self._journal.write(Fault("writers started", began_s, now_s(), True))

    def _start_writer(self, name: str, *options: object, writes: bool = True) -> Child:
        path = self._folder / f"{name}.jsonl"
        child = self._start(name, "writer", self._url, name, self._plan.seed, path, *options)
        if writes:
            self._writers[name] = child
        return child

    def _kill_a_writer(self) -> None:
        """kill -9, and another one takes its place."""
        name = self._random.choice(sorted(self._writers))
        self._writers[name].end()
        self._start_writer(name)

    def _end_writers(self) -> None:
        children = [*self._writers.values()]
        for child in children:
            assert child.alive, f"a writer ended:\n{child.log()[-2000:]}"
            child.signal(signal.SIGTERM)
        for child in children:
            child.wait(WRITER_END_S)
        if self._holder is not None:
            self._holder.wait(self._plan.hold_s)

    # -- faults -----------------------------------------------------------------------------

    def _strike_all(self) -> None:
        begun: list[tuple[str, float, bool]] = []
        ends: list[Callable[[Scene], None]] = []
        for kind in self._kinds:
            self._pause()
            begun.append((kind.name, now_s(), self._begin(kind)))
            ends.append(kind.end)
            if kind.spans:
                continue
            if len(ends) > 1 or kind.lasts:
                time.sleep(self._random.uniform(*self._plan.fault_s))
            for end in ends:
                end(self._scene)
            self._scene.wait_ready()
            over_s = now_s()
            self._journal.write(*(Fault(name, at, over_s, fired) for name, at, fired in begun))
            begun, ends = [], []

    def _pause(self) -> None:
        """Calm between two faults: about a third of the time."""
        mean_s = self._plan.seconds / len(self._kinds) / 3
        time.sleep(self._random.uniform(0.5, 1.5) * mean_s)

    def _begin(self, kind: Kind) -> bool:
        """Whether it took effect; one that did not makes the run vacuous."""
        try:
            kind.begin(self._scene)
        except (AssertionError, *DatabaseErrors) as error:
            print(f"{kind.name}: {error}", file=sys.stderr)  # noqa: T201
            return False
        return True

    # -- the end ----------------------------------------------------------------------------

    def _write_sentinel(self) -> None:
        """The last row; waits until every client has it, or their time is over."""
        text, began_s = f"sentinel {self._random.random()}", now_s()
        payload = payload_of(text)
        sql.insert_posts(self._url, [text], SENTINEL_AUTHOR)
        row_id = sql.post_ids(self._url)[-1]
        attempt = Attempt(SENTINEL_AUTHOR, payload, row_id, began_s, now_s(), "committed")
        self._journal.write(attempt, Sentinel(payload))
        paths = [journal.client_path(self._folder, name) for name in clients.NAMES]
        paths.append(self._folder / "naive.jsonl")
        end_s = now_s() + SERVED_WITHIN_S
        while now_s() < end_s and any(payload.encode() not in p.read_bytes() for p in paths):
            time.sleep(STEP_S)

    def _record(self) -> Record:
        self._journal.write(*self._scene.truths, read_truth(self._url))
        record = journal.load(self._folder)
        record.planned = [kind.name for kind in self._kinds]
        record.writers = sorted(self._writers)
        record.one_writer_at_a_time = sql.dialect_of(self._url) == "sqlite"
        return record
