"""`python -m tests.campaigns.hand_over`: reloads, deaths and chaos, with figures.

--streams N     clients (10,000; fewer if there are not enough descriptors)
--reloads N     one after another, under 100 rows a second
--kills N       of a worker, each at a point of a hand-over of 100 streams
--seeds N …     of chaos: reloads, deaths and pauses by chance, for --seconds each
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import click
import psutil

from tests.campaigns.hand_over.clients import Clients
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.moves import spread

EVERY_S = 0.01  # a row
BOUND_S = 200.0
SIGNALS_S = 2.0  # until a worker that was forked listens to signals
POINTS = [
    *(f"{when} say {one}" for one in ("Batch", "Got", "Go") for when in ("before", "after")),
    *(f"after hear {one}" for one in ("Batch", "Got", "Go")),
]
ENV = {
    "ROWCAST_MAX_STREAMS_PER_ADDRESS": "0",
    "GUNICORN_CMD_ARGS": "--graceful-timeout 120 --timeout 120",
}


class Scene:
    """A server with clients, and a writer; nothing happens outside `until()`."""

    def __init__(self, folder: Path, streams: int, workers: int, **options: str) -> None:
        self.url = f"sqlite:///{folder / 'moves.sqlite3'}"
        env = {**ENV, "DATABASE_URL": self.url, "FATE": str(folder / "fate")}
        (folder / "fate").mkdir()
        self.fate = folder / "fate"
        self.server = Gunicorn(folder, env, workers=workers, **options)  # type: ignore[arg-type]
        self.streams = streams
        self._rows, self._due = 0, 0.0

    def __enter__(self) -> Self:
        self.server.start()
        self.server.wait_ready(BOUND_S)
        self.clients = Clients(self.server.stream_url, self.streams, 0)
        self.clients.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.clients.close()
        self.server.end()

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

    def a_while(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, "a while")

    def reload(self) -> None:
        before = {*self.server.worker_pids()}
        self._signal(signal.SIGHUP)
        self.until(lambda: not before & {*self.server.worker_pids()}, "the old workers' end")

    def settle(self) -> None:
        """Until all clients are live, and the successor of one that was killed has begun. gunicorn
        loses a signal to a worker that it has just forked, and then waits for that one for long."""
        whole = self.server.workers
        self.until(lambda: len(self.server.worker_pids()) == whole, "all workers are there")
        self.until(lambda: all(one.live for one in self.clients.all), "all are open again")
        self.a_while(SIGNALS_S)

    def _signal(self, number: int) -> None:
        assert self.server.child is not None
        self.server.child.signal(number)

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


def reloads(folder: Path, streams: int, count: int) -> bool:
    with Scene(folder, streams, workers=2) as scene:
        scene.a_while(3)
        calm = scene.clients.told()["longest_silence_s"]
        click.echo(f"{streams} streams, 2 workers: {scene.figures()}, silence {calm} s")
        for number in range(1, count + 1):
            scene.clients.calm()
            began = time.monotonic()
            scene.reload()
            seconds = round(time.monotonic() - began, 1)
            scene.a_while(3)
            click.echo(f"reload {number} in {seconds} s: {scene.clients.told()} {scene.figures()}")
        told = scene.verdict()
        moved = scene.server.metric("rowcast_streams_taken_total")
        click.echo(f"{told}; {moved:.0f} streams moved, load {os.getloadavg()[0]:.1f}")
        return all(told[what] == 0 for what in ("reconnects", "lost", "doubled", "cut"))


def kills(folder: Path, count: int) -> bool:
    """Each kill ends some streams, whose clients come back; nothing is lost, doubled or cut."""
    app = "tests.campaigns.hand_over.fated_app:app"
    with Scene(folder, 100, workers=2, app=app) as scene:
        struck = dict.fromkeys(POINTS, 0)
        for number in range(count):
            point = POINTS[number % len(POINTS)]
            (scene.fate / point).touch()
            scene.reload()
            struck[point] += not (scene.fate / point).exists()
            (scene.fate / point).unlink(missing_ok=True)
            scene.settle()
        told = scene.verdict()
        click.echo(f"kills {struck}: {told}, load {os.getloadavg()[0]:.1f}")
        return all(told[what] == 0 for what in ("lost", "doubled", "cut")) and all(
            struck.values() if count >= len(POINTS) else [True]
        )


def chaos(folder: Path, seed: int, seconds: float) -> bool:
    chance = random.Random(seed)
    with Scene(folder, 200, workers=3) as scene:
        end, faults = time.monotonic() + seconds, dict[str, int]()
        while time.monotonic() < end:
            fault = chance.choice(["reload", "reload", "kill", "end", "pause"])
            faults[fault] = faults.get(fault, 0) + 1
            strike(scene, fault, chance)
            scene.a_while(chance.uniform(0.2, 3))
        scene.until(lambda: all(one.live for one in scene.clients.all), "all are open again")
        told = scene.verdict()
        click.echo(f"seed {seed}: {faults}: {told}")
        return all(told[what] == 0 for what in ("lost", "doubled", "cut"))


def strike(scene: Scene, fault: str, chance: random.Random) -> None:
    """Old workers and new ones alike: whoever is there."""
    if fault == "reload":
        scene._signal(signal.SIGHUP)
        return
    victim = psutil.Process(chance.choice(scene.server.worker_pids()))
    with suppress(psutil.NoSuchProcess):
        if fault == "pause":
            victim.suspend()
            scene.a_while(2)
            victim.resume()
        else:
            victim.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)


@click.command()
@click.option("--streams", default=10_000)
@click.option("--reloads", "reload_count", default=10)
@click.option("--kills", "kill_count", default=100)
@click.option("--seeds", default=5)
@click.option("--seconds", default=40.0)
def main(streams: int, reload_count: int, kill_count: int, seeds: int, seconds: float) -> None:
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1_000
    parts: list[Callable[[Path], bool]] = []
    if reload_count:
        parts.append(lambda folder: reloads(folder, min(streams, room), reload_count))
    if kill_count:
        parts.append(lambda folder: kills(folder, kill_count))
    parts += [lambda folder, seed=seed: chaos(folder, seed, seconds) for seed in range(seeds)]  # type: ignore[misc]
    well = True
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="rowcast-hand-over-", dir="/tmp") as folder:
            well &= part(Path(folder))
    sys.exit(not well)


if __name__ == "__main__":
    main()
