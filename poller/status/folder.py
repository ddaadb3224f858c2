"""The files of a machine's workers: what each counted in the last hour, and what it does now.

    PID-RANDOM.hour   a line a sample; never more than twice an hour's
    PID-RANDOM.now    the state, replaced whole

They are in the private folder of the server's workers, which its master removes. A worker keeps its
`.hour` locked for as long as it lives: so nobody takes a process for it that got the same pid. A
server without such a folder has one process here, and a folder of its own.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from poller.runtime import log
from poller.status.figures import KEPT_S, SAMPLE_S, Sample, WorkerNow

MOST_LINES = int(KEPT_S / SAMPLE_S)
NAME = ".status"  # in the folder of the siblings, who take no notice of it

_now = msgspec.json.Decoder(WorkerNow)
_sample = msgspec.json.Decoder(Sample)


class Told(NamedTuple):
    """What one worker left: its last state, its hour, and whether it lives."""

    name: str
    now: WorkerNow
    hour: list[Sample]
    lives: bool


class Folder:
    """The files here, and this worker's own among them. Nothing is written before `open()`."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.name = ""
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._file: IO[bytes] | None = None
        self._lines = 0
        self._hours: dict[str, tuple[int, list[Sample]]] = {}  # as last read, and the file's size

    def open(self, shared: Path | None) -> None:
        """Begin this worker's files, in the folder of its siblings if there is one. Does nothing
        twice. What cannot be written is told in the log, once, and then there is no hour."""
        if self._file is not None:
            return
        try:
            self.path = self._folder(shared)
            _remove_old(self.path)
            self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
            self._file = self._begin(self.path / f"{self.name}.hour")
        except OSError as error:
            self.path = None
            log.warning("no history for the status page", error=str(error))

    def _folder(self, shared: Path | None) -> Path:
        if shared is None:
            self._own = tempfile.TemporaryDirectory(prefix="rowcast-status-")
            return Path(self._own.name)
        path = shared / NAME
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @staticmethod
    def _begin(path: Path) -> IO[bytes]:
        file = path.open("wb", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def close(self) -> None:
        """Let go of the files, which stay: whoever looks sees that the worker has ended."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._own is not None:
            self._own.cleanup()
            self._own = None

    def write(self, now: WorkerNow, *, sample: bool) -> None:
        """Replace the state, and append a sample to the hour. Raises OSError."""
        if self._file is None or self.path is None:
            return
        state = self.path / f"{self.name}.now"
        fresh = state.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(now))
        fresh.replace(state)
        if sample:
            if self._lines >= 2 * MOST_LINES:
                self._shorten(self.path / f"{self.name}.hour")
            self._file.write(msgspec.json.encode(now.sample) + b"\n")
            self._lines += 1

    def _shorten(self, path: Path) -> None:
        """Keep the newest hour. In place: another file would not have our lock."""
        kept = path.read_bytes().splitlines(keepends=True)[-MOST_LINES:]
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(b"".join(kept))
        self._lines = len(kept)
        _remove_old(path.parent)

    def others(self) -> Iterator[Told]:
        """What the other workers left, those that ended included."""
        if self.path is None:
            return
        for state in sorted(self.path.glob("*.now")):
            if state.stem == self.name:
                continue
            hour = state.with_suffix(".hour")
            with suppress(OSError, msgspec.MsgspecError):
                lives = _is_locked(hour)
                yield Told(state.stem, _now.decode(state.read_bytes()), self._hour(hour), lives)

    def own_hour(self) -> list[Sample]:
        """Of this worker."""
        if self.path is None:
            return []
        with suppress(OSError):
            return self._hour(self.path / f"{self.name}.hour")
        return []

    def forget(self) -> None:
        """What was read: nobody looks any more."""
        self._hours.clear()

    def _hour(self, path: Path) -> list[Sample]:
        size, known = path.stat().st_size, self._hours.get(path.stem)
        if known is None or known[0] != size:
            known = self._hours[path.stem] = size, _samples(path)
        return known[1]


def _samples(path: Path) -> list[Sample]:
    found: list[Sample] = []
    for line in path.read_bytes().splitlines()[-MOST_LINES:]:
        with suppress(msgspec.MsgspecError):  # one that is just being written
            found.append(_sample.decode(line))
    return found


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_old(folder: Path) -> None:
    """The files of workers that ended more than an hour ago."""
    for path in folder.iterdir():
        with suppress(OSError):
            if _age_s(path) > KEPT_S and (path.suffix != ".hour" or not _is_locked(path)):
                path.unlink()


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
