"""`rowcast` as a program of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import poller

PROJECT = Path(poller.__file__).parents[1]
BOUND_S = 60
TOKEN = re.compile(r"--from (\S+)")
FAST = {"ROWCAST_POLL_INTERVAL": "0.05"}


class Program:
    """A running `rowcast`, whose lines are read as they come."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "poller", *arguments],
            cwd=PROJECT,
            env={**os.environ, **FAST, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._errors: list[str] = []
        self._said = threading.Condition()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout: IO[bytes] = self._process.stdout
        self._thread = threading.Thread(target=self._read_errors, args=[self._process.stderr])
        self._thread.start()

    def _read_errors(self, stderr: IO[bytes]) -> None:
        for line in stderr:
            with self._said:
                self._errors.append(line.decode())
                self._said.notify_all()
        stderr.close()

    @property
    def stderr(self) -> str:
        return "".join(self._errors)

    @property
    def token(self) -> str:
        """What it said at its end: where to go on."""
        found = TOKEN.findall(self.stderr)
        assert found, self.stderr
        return str(found[-1])

    def wait_for(self, text: str) -> None:
        """Until it has said so on standard error."""
        with self._said:
            assert self._said.wait_for(lambda: text in self.stderr, BOUND_S), self.stderr

    def line(self) -> str:
        return self.stdout.readline().decode()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def status(self) -> int:
        """Its exit status; it ends by itself."""
        status = self._process.wait(BOUND_S)
        self._thread.join(BOUND_S)
        return status

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.status()
        self.stdout.close()


@contextmanager
def running(*arguments: str, **env: str) -> Iterator[Program]:
    program = Program(*arguments, **env)
    try:
        yield program
    finally:
        program.end()
