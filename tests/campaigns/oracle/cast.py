"""Who takes part in a torture: the processes that write, read and measure, and how they end."""

import random
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.campaigns.oracle import journal
from tests.harness.process import Child, wait_until

PROJECT = Path(__file__).parents[3]
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 20.0


class Cast:
    """Their journals and logs are in `folder`; `stack` ends those that are left."""

    def __init__(self, url: str, seed: int, folder: Path, stack: ExitStack) -> None:
        self.writers: dict[str, Child] = {}
        self._others: dict[str, Child] = {}
        self._url = url
        self._seed = seed
        self._folder = folder
        self._stack = stack

    def write(self, name: str, role: str = "writer", *options: object) -> None:
        """One more that writes. Writers are expected to work all the time."""
        path = self._folder / f"{name}.jsonl"
        child = self._start(name, "adversaries", role, self._url, name, self._seed, path, *options)
        if role == "writer":
            self.writers[name] = child
        else:
            self._others[name] = child

    def wait_written(self, *names: str) -> None:
        """Until each of them has committed something; by default all writers."""
        paths = [self._folder / f"{name}.jsonl" for name in names or self.writers]

        def all_write() -> bool:
            return all(path.exists() and b'"committed"' in path.read_bytes() for path in paths)

        wait_until(all_write, START_TIMEOUT_S, "every writer has committed")

    def kill_a_writer(self, chosen: random.Random) -> None:
        """kill -9, and another one takes its place."""
        name = chosen.choice(sorted(self.writers))
        self.writers[name].end()
        self.write(name)

    def end(self, name: str) -> None:
        """One of the others ends what it is at."""
        child = self._others.pop(name)
        child.signal(signal.SIGTERM)
        child.wait(END_TIMEOUT_S)

    def end_writing(self) -> None:
        children = [*self.writers.values(), *self._others.values()]
        for child in children:
            assert child.alive, f"a writer ended:\n{child.log()[-2000:]}"
            child.signal(signal.SIGTERM)
        for child in children:
            child.wait(END_TIMEOUT_S)

    def read(self, cast: str, names: Sequence[str], servers: Sequence[str]) -> None:
        """The clients of `clients.CASTS`; returns when each of them, by name, has its place."""
        self._start(cast, "clients", cast, self._folder, self._seed, *servers)
        paths = [journal.client_path(self._folder, name) for name in names]

        def placed() -> bool:
            return all(path.exists() and b'"place"' in path.read_bytes() for path in paths)

        wait_until(placed, START_TIMEOUT_S, "every client has its place")

    def read_naively(self, interval_s: float) -> None:
        self._start("naive", "naive", self._url, self._folder / "naive.jsonl", interval_s)

    def measure(self) -> None:
        """How quickly the database answers."""
        self._start("database", "heartbeat", self._url, self._folder / "database.jsonl")

    def _start(self, name: str, module: str, *arguments: object) -> Child:
        command = [sys.executable, "-m", f"tests.campaigns.oracle.{module}", *arguments]
        child = Child(command, self._folder / f"{name}.log", cwd=PROJECT)
        self._stack.callback(child.end)
        return child
