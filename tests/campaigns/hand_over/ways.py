"""The other ways in which a worker ends, and a reload behind a proxy: nobody has to come back."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import psutil

from tests.campaigns.hand_over.scene import BOUND_S, CALM_S, Scene
from tests.harness.process import has_ended, wait_until
from tests.harness.proxies import Nginx

REQUESTS_MORE = 2_000  # than a worker serves while all streams open
AT_ONCE = 20


class RoomyNginx(Nginx):
    """With room for many streams, each of which has two sockets."""

    connections = 65_536


def restarts(folder: Path, streams: int) -> bool:
    """Two workers have served their requests at about the same time."""
    options = ["--max-requests", f"{streams // 2 + REQUESTS_MORE}"]
    with Scene(folder, streams, workers=2, options=options) as scene:
        before = {*scene.server.worker_pids()}

        def restarted() -> bool:
            for _ in range(AT_ONCE):
                scene.server.get("/healthz")
            return not before & {*scene.server.worker_pids()}

        scene.begin()
        scene.until(restarted, "both have restarted")
        scene.a_while(CALM_S)
        assert "Autorestarting worker" in scene.server.log()
        return scene.unnoticed("max_requests")


def one_of_three(folder: Path, streams: int) -> bool:
    with Scene(folder, streams, workers=3) as scene:
        ends = scene.server.worker_pids()[0]
        scene.begin()
        scene.server.kill_worker(ends, signal.SIGTERM)
        scene.until_gone([ends])
        scene.a_while(CALM_S)
        return scene.unnoticed("one of three workers ended")


def new_master(folder: Path, streams: int) -> bool:
    """USR2, then SIGTERM to the old one."""
    pidfile = folder / "gunicorn.pid"
    with Scene(folder, streams, workers=2, options=["--pid", str(pidfile)]) as scene:
        old = scene.server.child
        assert old is not None
        scene.begin()
        scene.signal(signal.SIGUSR2)
        told = pidfile.with_suffix(".pid.2")
        scene.until(lambda: told.exists() and told.read_text().strip(), "a new master")
        new = psutil.Process(int(told.read_text()))
        try:
            scene.until(lambda: len(new.children()) == 2, "its workers")
            scene.signal(signal.SIGTERM)
            scene.until(lambda: not old.alive, "the old one's end")
            scene.a_while(CALM_S)
            return scene.unnoticed("USR2")
        finally:
            family = [new, *new.children()]
            new.terminate()
            wait_until(lambda: all(map(has_ended, family)), BOUND_S, "the end of all")


def behind_nginx(folder: Path, streams: int) -> bool:
    streams = min(streams, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1_000) // 2)
    trusted = {"ROWCAST_PROXIES": "1", "ROWCAST_TRUSTED_HOSTS": "wall.example.org,127.0.0.1"}
    with Scene(folder, streams, workers=2, proxy=RoomyNginx, env=trusted) as scene:
        assert scene.proxy is not None
        said = scene.proxy.log()
        scene.begin()
        scene.reload()
        scene.a_while(CALM_S)
        told = scene.proxy.log().removeprefix(said)
        assert not told, told
        return scene.unnoticed("HUP behind nginx")


WAYS = (restarts, one_of_three, new_master, behind_nginx)
