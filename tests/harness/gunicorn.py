"""The wall on a real gunicorn, started as a user would start it, in a process group of its own.

Its feed is one of new rows, unless the test names the wall itself: see `inserts.py`.

Settings come only from `env`; the database and the key are always given, so that no test reads
those a developer has under `instance/`.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from tests.harness.http import Reply, post_json, request
from tests.harness.ports import free_port
from tests.harness.process import Child, has_ended, wait_until
from tests.harness.sse import Stream

PROJECT = Path(__file__).resolve().parents[2]
INSERTS, WALL = "tests.harness.inserts:app", "app:app"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
# A server that waits for its open streams at the end now waits for longer than any test does.
WAITS_FOR_STREAMS = {"GUNICORN_CMD_ARGS": "--graceful-timeout 600"}
# Tests post in bursts; the limit itself is tested where it is the subject.
OPERATOR = "a token for tests only"
DEFAULTS = {
    "SECRET_KEY": "a key for tests only, of more than 32 bytes",
    "HOST": "127.0.0.1",
    "ROWCAST_OPERATOR_TOKEN": OPERATOR,
}
FAST = {"ROWCAST_POST_RATE": "100000 per minute", "ROWCAST_POLL_INTERVAL": "0.1"}


class Gunicorn:
    """One running server: `with Gunicorn(folder, env, workers=2) as server`.

    An empty value in `env` unsets what would be given here by default. `open_files` is its
    `ulimit -n`, soft and hard.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        workers: int = 1,
        options: Sequence[str] = (),
        start: Literal["gunicorn app:app", "python app.py"] = "gunicorn app:app",
        project: Path = PROJECT,
        port: int = 0,
        open_files: int | None = None,
        app: str = INSERTS,
    ) -> None:
        self.port = port or free_port()
        self.workers = workers
        self.log_path = folder / "gunicorn.log"
        self._project = project
        database = {"DATABASE_URL": f"sqlite:///{folder / 'default.sqlite3'}"}
        self._env = {**DEFAULTS, **FAST, **database, **env, "PORT": str(self.port)}
        self._env = {name: value for name, value in self._env.items() if value}
        self._env |= {"WEB_CONCURRENCY": str(workers), "PYTHONUNBUFFERED": "1"}
        self._env["TMPDIR"] = str(folder)  # what a killed server leaves goes with the test's folder
        self._command = [sys.executable, "app.py"]
        if start == "gunicorn app:app":
            self._command = [sys.executable, "-m", "gunicorn", app]
            # The parser that every gunicorn has; the other one has tests of its own.
            self._command += ["--workers", str(workers), "--http-parser", "python", *options]
        if open_files is not None:
            limited = 'ulimit -n "$0" && exec "$@"'
            self._command = ["sh", "-c", limited, str(open_files), *self._command]
        self.child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def url(self) -> str:
        return f"http://{self._env.get('HOST', '127.0.0.1')}:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"{self.url}/stream"

    def start(self) -> None:
        """Starts it and waits until every worker is there and one answers."""
        self.child = Child(self._command, self.log_path, env=self._env, cwd=self._project)
        try:
            wait_until(self._healthy, START_TIMEOUT_S, "the server answers")
        except AssertionError:
            self.end()
            raise

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> Self:
        """Until /readyz says 200: the database is there and the first polls are done."""

        def ready() -> bool:
            return all(self.get("/readyz").status == 200 for _ in range(4 * self.workers))

        wait_until(ready, timeout_s, f"ready; {self.get('/readyz').text}\n{self.log()[-2000:]}")
        return self

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """The routes for operators as an operator, who also sees what is wrong."""
        as_operator = path.endswith(("/readyz", "/metrics", "/status.json"))
        token = {"Authorization": f"Bearer {OPERATOR}"} if as_operator else {}
        return request(self.url + path, headers={**token, **(headers or {})})

    def post(self, body: str, author: str = "test") -> int:
        """Posts through the wall's JSON door; the new row's id."""
        reply = post_json(self.url + "/posts", {"author": author, "body": body})
        assert reply.status == 201, f"{reply.status} {reply.text}\n{self.log()[-2000:]}"
        return int(reply.json["id"])

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels, as /metrics tells it now."""
        lines = [
            line for line in self.get("/metrics").text.splitlines() if not line.startswith("#")
        ]
        values = [line.rsplit(" ", 1) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for _, value in values)

    def worker_pids(self) -> list[int]:
        assert self.child is not None
        return sorted(child.pid for child in self.child.descendants())

    def only_worker_process(self) -> psutil.Process:
        """The worker, where there is one."""
        (pid,) = self.worker_pids()
        return psutil.Process(pid)

    def worker_of(self, stream: Stream) -> int:
        """The pid of the worker that holds the other end of this stream now."""
        pid = self.holder_of(stream)
        assert pid is not None, f"no worker of {self.worker_pids()} holds {stream}"
        return pid

    def holder_of(self, stream: Stream) -> int | None:
        """The same; None if there is none."""
        for pid in self.worker_pids():
            connections = psutil.Process(pid).net_connections("tcp")
            if (stream.local_port,) in [tuple(one.raddr)[-1:] for one in connections]:
                return pid
        return None

    @contextmanager
    def only_worker(self, pid: int) -> Iterator[None]:
        """Inside, the other workers stand still, so that this one accepts what connects."""
        others = [psutil.Process(other) for other in self.worker_pids() if other != pid]
        for other in others:
            other.suspend()
        try:
            yield
        finally:
            for other in others:
                other.resume()

    def kill_worker(self, pid: int, number: int = signal.SIGKILL) -> None:
        assert pid in self.worker_pids(), f"{pid} is none of {self.worker_pids()}"
        psutil.Process(pid).send_signal(number)

    def kill_worker_of(self, stream: Stream) -> None:
        """It stands still first: a new worker may be asking for its share of the streams."""
        while True:
            worker = psutil.Process(self.worker_of(stream))
            worker.suspend()
            if self.worker_of(stream) == worker.pid:
                worker.kill()
                return
            worker.resume()

    def terminate(self) -> None:
        """SIGTERM to the master, as a service manager does; returns when all is gone."""
        assert self.child is not None
        self._wait_for_end(lambda child: child.signal(signal.SIGTERM))

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to the master and its workers at once; returns when all is gone."""
        assert self.child is not None
        self._wait_for_end(lambda child: child.signal_group(signal.SIGINT))

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        """Ends it whatever state it is in."""
        if self.child is not None:
            if self.child.alive:
                self.child.thaw()
            self.child.end()

    def _wait_for_end(self, ask: Callable[[Child], None]) -> None:
        assert self.child is not None
        workers = self.child.descendants()
        ask(self.child)
        self.child.wait(STOP_TIMEOUT_S)
        wait_until(lambda: all(map(has_ended, workers)), STOP_TIMEOUT_S, "the end of the workers")

    def _healthy(self) -> bool:
        assert self.child is not None
        assert self.child.alive, f"the server ended at start:\n{self.log()[-3000:]}"
        try:
            healthy = request(self.url + "/healthz", timeout_s=2).status == 200
        except OSError:
            return False
        return healthy and len(self.worker_pids()) >= self.workers
