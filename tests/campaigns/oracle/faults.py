"""What goes wrong during a torture: the kinds of faults, and the order in which a seed has them.

A fault begins, lasts, ends, and is over when the servers are ready again. `begin` waits for its
effect where one can be seen from outside, and raises where there was none: the fault did not fire.
"""

import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.campaigns.oracle.renewal import reload, truncate
from tests.campaigns.oracle.scene import EFFECT_TIMEOUT_S, Scene
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import Child, has_ended, wait_until

LONGEST_STOP_S = 1.0
LOCKER = """
import signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
signal.pause()
"""


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


def _reload_server(scene: Scene) -> None:
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


def _stop_and_start(scene: Scene) -> None:
    """Every worker of the server is told to, one after another."""
    left = set(scene.main.worker_pids())
    pause_s = scene.random.uniform(0.0, LONGEST_STOP_S)

    def told() -> bool:
        left.discard(int(scene.main.get(f"/stop-and-start?pause={pause_s}").text))
        return not left

    wait_until(told, EFFECT_TIMEOUT_S, "every worker has stopped and started")


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
TRUNCATED = Kind("table truncated", truncate)
RELOADED = Kind("table reloaded", reload)
ANYWHERE = (
    Kind("worker killed", _signal_worker(signal.SIGKILL)),
    Kind("worker terminated", _signal_worker(signal.SIGTERM)),
    Kind("server reloaded", _reload_server),
    Kind("notifier stopped and started", _stop_and_start),
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

    The table is reloaded at a third of the time, and truncated at two thirds. The lagging worker
    stands still meanwhile, and wakes up in a history that is gone. See `renewal.py`.
    """
    kinds = [*ANYWHERE, *(ON_SQLITE if dialect == "sqlite" else ON_A_SERVER)]
    chosen.shuffle(kinds)
    third, two_thirds = len(kinds) // 3, 2 * len(kinds) // 3
    return [
        *kinds[:third],
        RELOADED,
        *kinds[third:two_thirds],
        LAGGING,
        TRUNCATED,
        *kinds[two_thirds:],
    ]
