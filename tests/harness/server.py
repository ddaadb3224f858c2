"""What the private database servers share: a child process that tests start, end and freeze."""

import itertools
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.harness.ports import free_port
from tests.harness.process import Child

START_TIMEOUT_S = 30.0

StopMode = Literal["fast", "immediate"]


@dataclass
class StatementCount:
    """Statements seen at the database, of every kind; filled when the counting ends."""

    statements: list[str] = field(default_factory=list)

    @property
    def queries(self) -> list[str]:
        """Those that read; the others set up a session or end a transaction."""
        return [one for one in self.statements if one.lstrip().upper().startswith("SELECT")]


class DatabaseServer(ABC):
    """One server; as a context manager it starts, and ends for good with its folder."""

    def __init__(
        self, folder: Path, log_name: str, stop_signals: Mapping[StopMode, signal.Signals]
    ) -> None:
        self._folder = folder
        self._log_path = folder / log_name
        self._stop_signals = stop_signals
        self._numbers = itertools.count(1)  # of databases
        self._child: Child | None = None
        self.port = free_port()

    @abstractmethod
    def start(self) -> None:
        """Starts it on its port, the same after every restart, and waits until it answers."""

    @abstractmethod
    def create_database(self) -> str:
        """The url of a new, empty database."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.thaw()
            if self._child.alive:  # a PostgreSQL that is killed leaves its shared memory behind
                with suppress(AssertionError):
                    self.stop("immediate")
            self._child.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self, mode: StopMode = "fast") -> None:
        """Ends every connection and the server; `immediate` is a crash with recovery at start."""
        assert self._child is not None
        self._child.signal(self._stop_signals[mode])
        self._child.wait(START_TIMEOUT_S)

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def ensure_running(self) -> None:
        """For fixtures: a test that stopped or froze the server must not spoil the next one."""
        if self._child is None or not self._child.alive:
            self.start()
        else:
            self._child.thaw()

    def freeze(self) -> None:
        """Stops every process of the server without closing anything: a hung machine."""
        assert self._child is not None
        self._child.freeze()

    def thaw(self) -> None:
        assert self._child is not None
        self._child.thaw()

    def pids(self) -> list[int]:
        """All its processes."""
        assert self._child is not None
        return [self._child.pid, *(process.pid for process in self._child.descendants())]

    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")
