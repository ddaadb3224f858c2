"""One application of `opening_apps.py` under gunicorn, with one worker. It gets no rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders.base import START_S, Contender
from tests.harness.http import request
from tests.harness.process import wait_until

RARE_S = "10"  # between polls: they are not part of a connect
MOST_WAITING = 50_000  # greenlets that gunicorn may have: more than there are streams


class Opening(Contender):
    """`app` is one of `opening_apps.py`, `worker` gunicorn's `-k`; `parser` its `--http-parser`."""

    def __init__(
        self, folder: Path, app: str, worker: str = "poller.Worker", parser: str = "auto"
    ) -> None:
        super().__init__(folder)
        self.title = f"{app} under {worker}"
        self._app = app
        options = ["-w", 1, "-k", worker, "-b", f"127.0.0.1:{self.port}", "--http-parser", parser]
        if app != "rowcast":
            options += ["--worker-connections", MOST_WAITING]
        module = f"benchmarks.contenders.opening_apps:{app}"
        self._command = [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", module]

    def start(self) -> None:
        database = {"DATABASE_URL": f"sqlite:///{self.folder / 'bench.sqlite3'}"}
        rare = {"ROWCAST_POLL_INTERVAL": RARE_S, "ROWCAST_IDLE_INTERVAL": RARE_S}
        child = self.spawn(self._command, {**database, **rare, "TMPDIR": str(self.folder)})
        self.wait_listening(child, self.port)
        if self._app == "rowcast":
            ready = f"http://127.0.0.1:{self.port}/readyz"
            wait_until(lambda: request(ready).status == 200, START_S, f"ready; {child.log()}")

    def send(self, texts: Sequence[str]) -> None:
        raise NotImplementedError(f"{self.title} gets no rows: {len(texts)}")
