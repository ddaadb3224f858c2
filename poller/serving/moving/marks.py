"""Who is here and who is coming: files in the folder that a server's workers share.

A worker is called `MASTER-AGE`, by its master's process and its number there. The master leaves
`.NAME.coming` before it forks, so that a worker that is told to end a moment later can see that
somebody comes. The new worker replaces the mark by its socket, `.NAME.sock`, as soon as it can tell
how it is. The master removes both when it has reaped the process, however that ended.

The names begin with a dot: the others in the folder are those of `siblings.py`.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

COMING, SOCKET, LEAVING = ".coming", ".sock", ".leaving"
# Where whole messages, descriptors and the sender's user can be had. Elsewhere streams are drained.
SUPPORTED = (
    sys.platform == "linux" and hasattr(socket, "SOCK_SEQPACKET") and hasattr(socket, "SO_PEERCRED")
)


class Name(NamedTuple):
    """A worker: the pid of its master, and its number there, which grows."""

    master: int
    age: int

    def __str__(self) -> str:
        return f"{self.master}-{self.age}"


class Marks:
    """The files of `folder`. One that is gone is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, folder: str | None) -> Marks | None:
        """None where streams cannot move: there is nothing to wait for."""
        return cls(Path(folder)) if folder and SUPPORTED else None

    def announce(self, name: Name) -> None:
        """In the master, before it forks: this one is coming."""
        _leave_mark(self.folder / f".{name}{COMING}")

    def arrived(self, name: Name) -> None:
        """It has its socket, or will not come."""
        with suppress(OSError):
            (self.folder / f".{name}{COMING}").unlink(missing_ok=True)

    def leave(self, name: Name) -> None:
        """It has been told to end, and still has streams to give."""
        _leave_mark(self.folder / f".{name}{LEAVING}")

    def forget(self, name: Name) -> None:
        """It has ended."""
        self.arrived(name)
        with suppress(OSError):
            (self.folder / f".{name}{LEAVING}").unlink(missing_ok=True)
        with suppress(OSError):
            self.socket(name).unlink(missing_ok=True)

    def socket(self, name: Name) -> Path:
        """Where it can be reached."""
        return self.folder / f".{name}{SOCKET}"

    def coming(self) -> set[Name]:
        return {*self._names(COMING)}

    def leaving(self) -> set[Name]:
        return {*self._names(LEAVING)}

    def here(self) -> set[Name]:
        """Those with a socket, the dead included that nobody has reaped yet."""
        return {*self._names(SOCKET)}

    def _names(self, suffix: str) -> Iterator[Name]:
        with suppress(OSError):
            for path in [*self.folder.iterdir()]:
                dot, master, age = path.stem[:1], *path.stem[1:].partition("-")[::2]
                if dot == "." and path.suffix == suffix and master.isdecimal() and age.isdecimal():
                    yield Name(int(master), int(age))


def _leave_mark(path: Path) -> None:
    """A new file, never what a link leads to: a master that is root leaves it in a folder of its
    workers' user."""
    with suppress(OSError):  # it is there; or the folder is gone: then nobody can be reached in it
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
