"""One torture: servers, writers, clients and faults are started, and everything is written down.

`run()` gives the record; `__main__.py` runs many and prints a table.
"""

import random
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.oracle import clients, journal, observer
from tests.campaigns.oracle.cast import START_TIMEOUT_S, Cast
from tests.campaigns.oracle.ending import write_sentinel
from tests.campaigns.oracle.faults import Kind, schedule
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.proxy import NetworkPath
from tests.campaigns.oracle.records import Attempt, Fault, Record, now_s, payload_of
from tests.campaigns.oracle.renewal import HISTORY_FROM
from tests.campaigns.oracle.scenarios import SERVED_APP
from tests.campaigns.oracle.scene import Scene
from tests.campaigns.oracle.table import DatabaseErrors, go_on_from, prepare, read_truth
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.server import DatabaseServer

WRITERS = 10
POLL_INTERVAL_S = 0.2
# A commit that waits for longer is late: two polls, and what it takes to read and to send.
LONGEST_WAIT_S = 2 * POLL_INTERVAL_S + 0.25
HISTORY_ROWS_PER_SECOND = 50  # of the torture
CALM_S = 3.0  # after the last fault, at least: so that delays can be measured
DEEDS = ("upsert", "skipped", "replaced", "burnt", "bulk", "sparse")
DEEDS_ON_A_SERVER = ("held",)
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
    """What one torture is to be. `clock`: a row that is late by the clock fails it; else only one
    that passes over the table left out."""

    seed: int
    seconds: float
    clock: bool = True
    fault_s: tuple[float, float] = (0.5, 2.5)  # how long one lasts


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
        self._cast = Cast(url, plan.seed, folder, stack)
        self._dialect = sql.dialect_of(url)
        rows = int(plan.seconds * HISTORY_ROWS_PER_SECOND)
        self._history = [f"history {number}" for number in range(rows)]
        self._kinds = schedule(self._dialect, self._random)
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
            lambda: self._cast.kill_a_writer(self._random),
            database,
            path,
        )

    def run(self) -> Record:
        self._scene.wait_ready()
        prepare(self._url)
        self._write_history()
        servers = [self._scene.main.stream_url, self._scene.lagging.stream_url]
        self._cast.read("torture", clients.NAMES, servers)
        self._cast.read_naively(POLL_INTERVAL_S)
        self._cast.measure()
        self._wait_for_history()
        end_s = now_s() + self._plan.seconds
        self._start_writers()
        self._strike_all()
        time.sleep(max(CALM_S, end_s - now_s()))
        self._scene.wait_ready()
        self._cast.end_writing()
        paths = [journal.client_path(self._folder, name) for name in clients.NAMES]
        paths.append(self._folder / "naive.jsonl")
        write_sentinel(self._url, self._journal, paths, self._random)
        return self._record()

    def _server(self, name: str, url: str, workers: int) -> Gunicorn:
        folder = self._folder / name
        folder.mkdir()
        env = {"DATABASE_URL": url, observer.VARIABLE: str(self._folder), **SETTINGS}
        return self._stack.enter_context(Gunicorn(folder, env, workers=workers, app=SERVED_APP))

    def _write_history(self) -> None:
        """Rows from before; the second half of them has ids far above the others."""
        began_s, half = now_s(), len(self._history) // 2
        sql.insert_posts(self._url, self._history[:half])
        with sql.connect(self._url) as connection, closing(connection.cursor()) as cursor:
            go_on_from(cursor, self._dialect, HISTORY_FROM)
            jump = f"INSERT INTO posts (id, author, body) VALUES ({HISTORY_FROM}, 'x', 'jump')"
            cursor.execute(jump)
        sql.insert_posts(self._url, self._history[half:])
        rows, ended_s = read_truth(self._url).rows.items(), now_s()
        self._journal.write(
            *(Attempt("history", *row, began_s, ended_s, "committed") for row in rows)
        )
        self._scene.wait_ready()

    def _wait_for_history(self) -> None:
        last = payload_of(self._history[-1]).encode()
        paths = [journal.client_path(self._folder, name) for name in clients.NAMES]
        read = lambda: any(last in path.read_bytes() for path in paths)  # noqa: E731
        wait_until(read, START_TIMEOUT_S, "one that began at the beginning has all of history")

    def _start_writers(self) -> None:
        began_s = now_s()
        for number in range(1, WRITERS + 1):
            self._cast.write(f"writer {number}")
        for role in ("burner", "holder", "unrelated"):
            self._cast.write(role, role)
        self._cast.wait_written()
        # No fault, but programs that start keep the processors busy: no time for delays.
        self._journal.write(Fault("writers started", began_s, now_s(), True))

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

    def _record(self) -> Record:
        truths = self._scene.truths
        self._journal.write(*self._scene.told, *truths, read_truth(self._url))
        record = journal.load(self._folder)
        record.planned = [kind.name for kind in self._kinds]
        record.writers = sorted(self._cast.writers)
        record.in_order = self._dialect == "sqlite"
        record.planned_deeds = [*DEEDS]
        if not record.in_order:
            record.planned_deeds += DEEDS_ON_A_SERVER
        record.watched = True
        record.longest_wait_s = LONGEST_WAIT_S if self._plan.clock else None
        return record
