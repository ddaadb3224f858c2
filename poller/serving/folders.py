"""Folders of a server: made by a master, shared with one that takes over, gone with the last.

Each process that is to keep a folder holds a shared lock on it, which the kernel drops however the
process ends. So a folder that nobody holds belonged to a server that was killed, and the next one
that starts removes it. The lock holds between containers, where the same pid is another process.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

YOUNG_S = 60.0  # made, and perhaps not held yet
METRICS = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks for it when it is imported
METRICS_PREFIX = "rowcast-metrics-"


class Held:
    """This process's hold on a folder. Processes that it forks share the hold, those that it
    executes do not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor = _opened(folder)
        with suppress(OSError):  # on a file system without locks nobody removes it
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @property
    def is_there(self) -> bool:
        """Whether its path still leads to it: in a folder for all, who owns it may replace it."""
        with suppress(OSError):
            return os.path.samestat(self.folder.lstat(), os.fstat(self._descriptor))
        return False

    def drop(self) -> None:
        """Remove the folder, unless another process holds it."""
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        _remove_if_free(self.folder, self._descriptor)
        os.close(self._descriptor)

    def sweep(self, prefix: str) -> None:
        """Remove the folders beside this one, of this user's servers that were killed."""
        with suppress(OSError):
            # By the clock that gives files their times.
            old = self.folder.lstat().st_mtime - YOUNG_S
            for folder in self.folder.parent.glob(f"{prefix}*"):
                with suppress(OSError):
                    found = folder.lstat()
                    if folder != self.folder and _is_ours(found) and found.st_mtime < old:
                        _look_at(folder)


def _is_ours(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _opened(folder: Path) -> int:
    """The folder itself, and not where a link leads that was put there."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _look_at(folder: Path) -> None:
    descriptor = _opened(folder)
    try:
        _remove_if_free(folder, descriptor)
    finally:
        os.close(descriptor)


def _remove_if_free(folder: Path, descriptor: int) -> None:
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


_HELD: dict[Path, Held] = {}  # by this process, and inherited by those that it forks


def hold(folder: Path, prefix: str) -> None:
    """Until this process ends. What servers left that were killed is removed now. Twice does
    nothing."""
    if folder not in _HELD:
        _HELD[folder] = held = Held(folder)
        held.sweep(prefix)
        atexit.register(_drop, held, os.getpid())


def _drop(held: Held, holder: int) -> None:
    """Not at the end of those that it forks."""
    if os.getpid() == holder:
        held.drop()


def keep_for_metrics(environ: MutableMapping[str, str]) -> None:
    """Leave the folder in which a server counts in `environ`: one that the user chose, that of the
    master before, or a new one."""
    folder = Path(environ.get(METRICS, ""))
    if not folder.name or (_is_for_metrics(folder) and not _is_known(folder)):
        folder = Path(tempfile.mkdtemp(prefix=METRICS_PREFIX))
        environ[METRICS] = str(folder)
    if _is_for_metrics(folder):
        hold(folder, METRICS_PREFIX)


def give_metrics(environ: Mapping[str, str], uid: int, gid: int) -> None:
    """Let workers of another user than the master's count in its folder.

    Again at each HUP, when they own it and may have put a link in its place: the master is root,
    and what that leads to must not become theirs.
    """
    folder = Path(environ.get(METRICS, ""))
    if uid == os.geteuid() or not _is_for_metrics(folder):
        return
    descriptor = _opened(folder)
    try:
        if os.fstat(descriptor).st_uid in (os.geteuid(), uid):
            os.fchown(descriptor, uid, gid)
    finally:
        os.close(descriptor)


def _is_known(folder: Path) -> bool:
    """Whether it is the one that this process holds; or, in a new master, one that its user may
    have got from the master before. Root's may belong to its workers' user by now."""
    if (held := _HELD.get(folder)) is not None:
        return held.is_there
    try:
        found = folder.lstat()
    except OSError:
        return False
    return _is_ours(found) or (os.geteuid() == 0 and stat.S_ISDIR(found.st_mode))


def _is_for_metrics(folder: Path) -> bool:
    return folder.name.startswith(METRICS_PREFIX)
