"""Child processes that cannot outlive the test session, and the folders and users of servers.

A child gets the kernel's parent-death signal, so that even `kill -9` of pytest leaves nothing
running behind.
"""

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

WORLD_EXECUTABLE = 0o001
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# Sets the parent-death signal in the child. Python code between fork and exec could do it, too, but
# must not run where other threads do, as in a process of pytest-xdist.
SETPRIV = shutil.which("setpriv")


class PartMissing(Exception):  # noqa: N818 - no error: the machine lacks a part, and the tests say so
    """A database, browser or tool is not on this machine; the text says which and why."""


def wait_until(fact: Callable[[], T], timeout_s: float, what: str, step_s: float = 0.02) -> T:
    """Returns the first true result of `fact`; AssertionError naming `what` after `timeout_s`."""
    end_s = time.monotonic() + timeout_s
    while not (result := fact()):
        assert time.monotonic() < end_s, f"not within {timeout_s} s: {what} (last: {result!r})"
        time.sleep(step_s)
    return result


def unprivileged_user(*names: str) -> str | None:
    """The first of `names` that exists, when this is root; None when this is nobody special."""
    if os.geteuid() != 0:
        return None
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PartMissing(f"root may not run a database server, and no user of {names} exists")


def reachable_by_all(path: Path) -> bool:
    """Whether any user may reach `path`: each folder on the way lets others through."""
    places = [path.resolve(), *path.resolve().parents]
    return all(place.stat().st_mode & WORLD_EXECUTABLE for place in places)


def server_folder(prefix: str, user: str | None) -> Path:
    """A new private folder that `user` owns and can reach; removed when the session ends."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    base = next((place for place in places if user is None or reachable_by_all(place)), places[0])
    folder = Path(tempfile.mkdtemp(prefix=f"rowcast-{prefix}-", dir=base))
    if user is not None:
        shutil.chown(folder, user)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def run(command: Sequence[object], user: str | None = None, timeout_s: float = 60) -> str:
    """Runs a command to its end, as `user`; its output, or AssertionError with it."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(part) for part in command],
        **_as_user(user),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def has_ended(process: psutil.Process) -> bool:
    """Gone, or a zombie: an orphan waits for its new parent, which may take its time to look."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Child:
    """A server process in a session of its own, its output in a file; ended with this process."""

    def __init__(
        self,
        command: Sequence[object],
        log_path: Path,
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        # Run by the user itself: the kernel forgets the wish when credentials change.
        wish = [SETPRIV, "--pdeathsig", death_signal.name.removeprefix("SIG")] if SETPRIV else []
        self.log_path = log_path
        self._frozen = False
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [str(part) for part in (*wish, *command)],
                **_as_user(user),
                env=_environment(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.end)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._popen.poll()

    def descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def signal_group(self, number: int) -> None:
        """To the process and its children at once, as a terminal does with Ctrl-C."""
        os.killpg(self.pid, number)

    def wait(self, timeout_s: float) -> None:
        """Waits for its end; AssertionError with the end of its log when there is none."""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            tail = self.log()[-3000:]
            raise AssertionError(
                f"pid {self.pid} still runs after {timeout_s} s:\n{tail}"
            ) from None

    def freeze(self) -> None:
        """SIGSTOP to all of it; the parent first, so that it makes no child meanwhile."""
        self._frozen = True
        self.signal(signal.SIGSTOP)
        for process in self.descendants():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        if not self._frozen:  # as nearly always; a look at all processes would take milliseconds
            return
        self._frozen = False
        for process in self.descendants():
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Kills it and its children by their ids, if they still run."""
        atexit.unregister(self.end)
        children = self.descendants()
        if self.alive:
            self._popen.kill()
        for process in children:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._popen.wait(30)
        wait_until(lambda: all(map(has_ended, children)), 30, f"the end of {children}")


def _as_user(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child sees: no stray settings of the machine or of another test."""
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
    base = {name: os.environ[name] for name in kept if name in os.environ}
    return {**base, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(given or {})}
