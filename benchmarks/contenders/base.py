"""`Contender`: a server with streams, and a way to give it a row."""

from __future__ import annotations

import importlib.util
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import payload
from benchmarks.machine import PROJECT, SERVER_CORES, on_cores
from tests.harness.ports import free_port
from tests.harness.process import Child, PartMissing, wait_until

START_S = 30.0
PUBLISH_S = 10.0  # for one row; a server that is flooded takes its time


class Contender(ABC):
    """`with make("nchan", folder) as server`: started, and ended by its process ids.

    `folder` is a private one for logs and files.
    """

    title: str
    cores = SERVER_CORES

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._children: list[Child] = []
        self._stack = ExitStack()
        self._rows = 0

    @property
    def url(self) -> str:
        """Of a stream."""
        return f"http://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> Self:
        try:
            with on_cores(self.cores):
                self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()
        for child in reversed(self._children):
            child.end()

    @abstractmethod
    def start(self) -> None:
        """Starts its processes, and returns when they answer."""

    @abstractmethod
    def send(self, texts: Sequence[str]) -> None:
        """Takes rows with these bodies the way a program that has news would give them."""

    def publish(self, count: int = 1) -> None:
        """So many rows, sent now."""
        self._rows += count
        first = self._rows - count + 1
        self.send([payload.body(number) for number in range(first, first + count)])

    def reload(self) -> None:
        """As its operator would, after a change of its configuration or its code."""
        self._children[0].signal(signal.SIGHUP)

    def data(self, texts: Sequence[str]) -> list[str]:
        """The JSON of these rows, for a server without a table."""
        first = self._rows - len(texts) + 1
        return [payload.data(first + n, text) for n, text in enumerate(texts)]

    def pids(self) -> list[int]:
        """All its processes."""
        return [
            pid
            for child in self._children
            for pid in (child.pid, *(process.pid for process in child.descendants()))
        ]

    def spawn(self, command: Sequence[object], env: Mapping[str, str] | None = None) -> Child:
        """A process of this server, which ends with it."""
        log = self.folder / f"{type(self).__name__}-{len(self._children)}.log"
        child = Child(command, log, env={"PYTHONPATH": str(PROJECT), **(env or {})}, cwd=Path("/"))
        self._children.append(child)
        return child

    def wait_listening(self, child: Child, port: int) -> None:
        def listens() -> bool:
            assert child.alive, f"{self.title} ended at start:\n{child.log()[-3000:]}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, START_S, f"{self.title} listens; {child.log()[-2000:]}")


class HttpPublisher:
    """Posts each row to one address, on one connection, or on a new one after the server closed it,
    as it does when it is reloaded."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=PUBLISH_S)
        self._path = path

    def send(self, rows: Sequence[str]) -> None:
        for row in rows:
            try:
                self._post(row)
            except ConnectionError:
                self._connection.close()
                self._post(row)

    def _post(self, row: str) -> None:
        self._connection.request("POST", self._path, row.encode())
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status < 300, f"{self._path}: {answer.status}"

    def close(self) -> None:
        self._connection.close()


def needs(*modules: str) -> None:
    """Raises PartMissing where one of these packages is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise PartMissing(f"{module} is not installed (make bench installs it)")
