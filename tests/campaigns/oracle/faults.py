"""What goes wrong during a torture: the kinds of faults, and the order in which a seed has them.

A fault begins, lasts, ends, and is over when the servers are ready again. `begin` waits for its
effect where one can be seen from outside, and raises where there was none: the fault did not fire.
"""

import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.campaigns.oracle.proxy import NetworkPath
from tests.campaigns.oracle.records import Truth
from tests.campaigns.oracle.table import DatabaseErrors, truncate
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import Child, has_ended, wait_until
from tests.harness.server import DatabaseServer

EFFECT_TIMEOUT_S = 30.0
TRUNCATE_TRIES = 10
LOCKER = """
import signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
signal.pause()
"""


@dataclass
class Scene:
    """What the faults act on. On SQLite there is no server, and no path to it."""

    url: str
    main: Gunicorn
    lagging: Gunicorn
    folder: Path
    random: random.Random
    kill_a_writer: Callable[[], None]
    database: DatabaseServer | None = None
    path: NetworkPath | None = None
    truths: list[Truth] = field(default_factory=list)
    locker: Child | None = None

    def wait_ready(self, *, lagging: bool = True) -> None:
        self.main.wait_ready(EFFECT_TIMEOUT_S)
        if lagging:
            self.lagging.wait_ready(EFFECT_TIMEOUT_S)


def _nothing(_: Scene) -> None:
    """Some faults end by themselves."""


@dataclass(frozen=True)
class Kind:
    """One without an `end` is over at once. `spans`: the next one begins before this one ends."""

    name: str
    begin: Callable[[Scene], None]
    end: Callable[[Scene], None] = _nothing
    spans: bool = False

    @property
    def lasts(self) -> bool:
        return self.end is not _nothing


def _restart(mode: str) -> Callable[[Scene], None]:
    def begin(scene: Scene) -> None:
        assert scene.database is not None
        scene.database.restart("fast" if mode == "fast" else "immediate")

    return begin


def _freeze_database(scene: Scene) -> None:
    assert scene.database is not None
    scene.database.freeze()


def _thaw_database(scene: Scene) -> None:
    assert scene.database is not None
    scene.database.thaw()


def _freeze_path(scene: Scene) -> None:
    assert scene.path is not None
    scene.path.freeze()


def _thaw_path(scene: Scene) -> None:
    assert scene.path is not None
    scene.path.thaw()


def _cut_path(scene: Scene) -> None:
    assert scene.path is not None
    scene.path.cut()


def _signal_worker(number: signal.Signals) -> Callable[[Scene], None]:
    def begin(scene: Scene) -> None:
        pid = scene.random.choice(scene.main.worker_pids())
        worker = psutil.Process(pid)
        scene.main.kill_worker(pid, number)
        wait_until(lambda: has_ended(worker), EFFECT_TIMEOUT_S, f"the end of worker {pid}")
        wait_until(lambda: _has_workers(scene.main), EFFECT_TIMEOUT_S, "another worker")

    return begin


def _reload(scene: Scene) -> None:
    assert scene.main.child is not None
    old = [psutil.Process(pid) for pid in scene.main.worker_pids()]
    scene.main.child.signal(signal.SIGHUP)
    wait_until(lambda: all(map(has_ended, old)), EFFECT_TIMEOUT_S, "the end of the old workers")
    wait_until(lambda: _has_workers(scene.main), EFFECT_TIMEOUT_S, "new workers")


def _has_workers(server: Gunicorn) -> bool:
    return len(server.worker_pids()) >= server.workers


def _stop_lagging_worker(scene: Scene) -> None:
    for pid in scene.lagging.worker_pids():
        psutil.Process(pid).suspend()
        wait_until(
            lambda p=pid: psutil.Process(p).status() == psutil.STATUS_STOPPED,  # type: ignore[misc]
            EFFECT_TIMEOUT_S,
            "the worker stands still",
        )


def _let_worker_go_on(scene: Scene) -> None:
    for pid in scene.lagging.worker_pids():
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).resume()


def _truncate(scene: Scene) -> None:
    for attempt in range(1, TRUNCATE_TRIES + 1):
        try:
            scene.truths.append(truncate(scene.url))
        except DatabaseErrors:  # a deadlock with a writer, say
            if attempt == TRUNCATE_TRIES:
                raise
        else:
            return


def _kill_writer(scene: Scene) -> None:
    scene.kill_a_writer()


def _lock(scene: Scene) -> None:
    command = [sys.executable, "-c", LOCKER, sql.sqlite_path(scene.url)]
    locker = Child(command, scene.folder / f"locker {scene.random.random()}.log")
    scene.locker = locker
    wait_until(lambda: "locked" in locker.log(), EFFECT_TIMEOUT_S, "the lock")


def _unlock(scene: Scene) -> None:
    assert scene.locker is not None
    scene.locker.end()


LAGGING = Kind("worker stopped", _stop_lagging_worker, _let_worker_go_on, spans=True)
TRUNCATED = Kind("table truncated", _truncate)
ANYWHERE = (
    Kind("worker killed", _signal_worker(signal.SIGKILL)),
    Kind("worker terminated", _signal_worker(signal.SIGTERM)),
    Kind("server reloaded", _reload),
    Kind("writer killed", _kill_writer),
)
ON_A_SERVER = (
    Kind("database restarted", _restart("fast")),
    Kind("database crashed", _restart("immediate")),
    Kind("database frozen", _freeze_database, _thaw_database),
    Kind("network frozen", _freeze_path, _thaw_path),
    Kind("network cut", _cut_path),
)
ON_SQLITE = (Kind("database locked", _lock, _unlock),)


def schedule(dialect: str, chosen: random.Random) -> list[Kind]:
    """Every fault that fits the database once, in an order of the seed's.

    The truncation comes in the middle, when the ids have come far: SQLite knows a truncated table
    only by ids that are below the old ones. The lagging worker stands still meanwhile, and wakes
    up in a history that is gone.
    """
    kinds = [*ANYWHERE, *(ON_SQLITE if dialect == "sqlite" else ON_A_SERVER)]
    chosen.shuffle(kinds)
    middle = len(kinds) // 2
    return [*kinds[:middle], LAGGING, TRUNCATED, *kinds[middle:]]
