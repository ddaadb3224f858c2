"""`python -m tests.campaigns.hand_over`: reloads, deaths and chaos, with figures.

--streams N     clients (10,000; fewer if there are not enough descriptors)
--reloads N     one after another, under 100 rows a second
--ways/--no-ways  the other ways in which a worker ends, once each, and a reload behind nginx
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
from functools import partial
from pathlib import Path

import click
import psutil

from tests.campaigns.hand_over.scene import CALM_S, UNNOTICED, Scene
from tests.campaigns.hand_over.ways import WAYS

POINTS = [
    *(f"{when} say {one}" for one in ("Batch", "Got", "Go") for when in ("before", "after")),
    *(f"after hear {one}" for one in ("Batch", "Got", "Go")),
]
RIGHT = UNNOTICED[1:]  # where workers die, streams end


def reloads(folder: Path, streams: int, count: int) -> bool:
    with Scene(folder, streams, workers=2) as scene:
        scene.begin()
        click.echo(f"{streams} streams, 2 workers: {scene.figures()}, silence {scene.calm_s} s")
        for number in range(1, count + 1):
            scene.clients.calm()
            began = time.monotonic()
            scene.reload()
            seconds = round(time.monotonic() - began, 1)
            scene.a_while(CALM_S)
            click.echo(f"reload {number} in {seconds} s: {scene.clients.told()} {scene.figures()}")
        told = scene.verdict()
        moved = scene.server.metric("rowcast_streams_taken_total")
        click.echo(f"{told}; {moved:.0f} streams moved, load {os.getloadavg()[0]:.1f}")
        return all(told[what] == 0 for what in UNNOTICED)


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
        return all(told[what] == 0 for what in RIGHT) and all(
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
        return all(told[what] == 0 for what in RIGHT)


def strike(scene: Scene, fault: str, chance: random.Random) -> None:
    """Old workers and new ones alike: whoever is there."""
    if fault == "reload":
        scene.signal(signal.SIGHUP)
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
@click.option("--ways/--no-ways", default=True)
@click.option("--kills", "kill_count", default=100)
@click.option("--seeds", default=5)
@click.option("--seconds", default=40.0)
def main(
    streams: int, reload_count: int, ways: bool, kill_count: int, seeds: int, seconds: float
) -> None:
    streams = min(streams, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1_000)
    parts: list[Callable[[Path], bool]] = []
    if reload_count:
        parts.append(partial(reloads, streams=streams, count=reload_count))
    if ways:
        parts += [partial(way, streams=streams) for way in WAYS]
    if kill_count:
        parts.append(partial(kills, count=kill_count))
    parts += [partial(chaos, seed=seed, seconds=seconds) for seed in range(seeds)]
    well = True
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="rowcast-hand-over-", dir="/tmp") as folder:
            well &= part(Path(folder))
    sys.exit(not well)


if __name__ == "__main__":
    main()
