"""The installed programs, and servers that run somebody else's application with them."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.gunicorn import FAST, Gunicorn
from tests.harness.http import request

PROJECT = Path(__file__).resolve().parents[2]
INSTALL_TIMEOUT_S = 300.0
DATABASE = {"DATABASE_URL": "sqlite:///shop.db"}
NOTHING_OF_THE_WALL = {"SECRET_KEY": "", "HOST": "", **dict.fromkeys(FAST, "")}

# The first program of the documentation.
TEN_LINES = """
from flask import Flask
from poller import Notifier

notifier = Notifier()
notifier.watch("orders", columns=["id", "customer", "total"], authorize="public")

app = Flask(__name__)
notifier.init_app(app, default_feed="orders")
"""
PATCHED = "from gevent import monkey\nmonkey.patch_all()\n" + TEN_LINES


@dataclass(frozen=True)
class Environment:
    """A virtual environment, by the folder of its programs."""

    bin: Path

    def path(self, program: str) -> str:
        return str(self.bin / program)

    def run(
        self, program: str, *arguments: str, folder: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """A program that has to succeed; `run_any()` for others."""
        ended = self.run_any(program, *arguments, folder=folder, **env)
        assert ended.returncode == 0, f"{ended.args}\n{ended.stdout}{ended.stderr}"
        return ended

    def run_any(
        self, program: str, *arguments: str, folder: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path(program), *arguments],
            cwd=folder or self.bin,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )


class Server(Gunicorn):
    """A server of any kind in `folder`. `workers`: the child processes that it has to have."""

    def __init__(
        self, folder: Path, command: Sequence[str], env: Mapping[str, str], workers: int
    ) -> None:
        settings = {**NOTHING_OF_THE_WALL, **DATABASE, "ROWCAST_POLL_INTERVAL": "0.1", **env}
        super().__init__(folder.parent, settings, workers=workers, project=folder)
        self._env["WEB_CONCURRENCY"] = str(workers or 1)
        self._command = [part.format(port=self.port) for part in command]
        self.temporary = Path(self._env["TMPDIR"])

    def _healthy(self) -> bool:
        """It answers, whatever it says, and its workers are there."""
        assert self.child is not None
        assert self.child.alive, f"the server ended at start:\n{self.log()[-3000:]}"
        try:
            request(self.url + "/healthz", timeout_s=2)
        except OSError:
            return False
        return len(self.worker_pids()) >= self.workers


def write(folder: Path, **modules: str) -> None:
    """Files `name.py` with this text; a name may have folders: `**{"models/__init__": …}`."""
    for name, text in modules.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
