"""Who takes part in a torture: the processes that write, read and measure, and how they end."""

import random
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.campaigns.oracle import clients, journal
from tests.campaigns.oracle.records import payload_of
from tests.harness.process import Child, wait_until

PROJECT = Path(__file__).parents[3]
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 20.0


class Cast:
    """Their journals and logs are in `folder`; `stack` ends those that are left."""

    def __init__(self, url: str, seed: int, folder: Path, stack: ExitStack) -> None:
        self.writers: dict[str, Child] = {}
        self._others: list[Child] = []
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
            self._others.append(child)

    def wait_written(self) -> None:
        paths = [self._folder / f"{name}.jsonl" for name in self.writers]

        def all_write() -> bool:
            return all(path.exists() and b'"committed"' in path.read_bytes() for path in paths)

        wait_until(all_write, START_TIMEOUT_S, "every writer has committed")

    def kill_a_writer(self, chosen: random.Random) -> None:
        """kill -9, and another one takes its place."""
        name = chosen.choice(sorted(self.writers))
        self.writers[name].end()
        self.write(name)

    def end_writing(self) -> None:
        children = [*self.writers.values(), *self._others]
        for child in children:
            assert child.alive, f"a writer ended:\n{child.log()[-2000:]}"
            child.signal(signal.SIGTERM)
        for child in children:
            child.wait(END_TIMEOUT_S)

    def read(self, servers: list[str], newest: str, interval_s: float) -> None:
        """The clients, the naive poller, and the look at how quickly the database answers.

        Returns when every client has its place, and one all rows up to the `newest`.
        """
        self._start("clients", "clients", self._folder, self._seed, *servers)
        self._start("naive", "naive", self._url, self._folder / "naive.jsonl", interval_s)
        self.measure()
        last = payload_of(newest).encode()

        def all_there() -> bool:
            paths = [journal.client_path(self._folder, name) for name in clients.NAMES]
            told = [path.read_bytes() for path in paths if path.exists()]
            placed = len(told) == len(paths) and all(b'"place"' in one for one in told)
            return placed and any(last in one for one in told)

        wait_until(all_there, START_TIMEOUT_S, "every client has its place, one all of history")

    def measure(self) -> None:
        self._start("database", "heartbeat", self._url, self._folder / "database.jsonl")

    def _start(self, name: str, module: str, *arguments: object) -> Child:
        command = [sys.executable, "-m", f"tests.campaigns.oracle.{module}", *arguments]
        child = Child(command, self._folder / f"{name}.log", cwd=PROJECT)
        self._stack.callback(child.end)
        return child
