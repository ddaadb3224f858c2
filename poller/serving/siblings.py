"""The workers of one server tell each other what should not wait, by datagrams.

Each worker has a socket in a folder that the master made for this server alone, with mode 0700, so
nobody but its user can reach it. Where the kernel tells who sent a datagram, as Linux does, those
of other users are dropped besides. A worker finds the others by looking into the folder: so it
needs no list, and does not mind how often workers are replaced. The socket of a worker that was
killed refuses what is sent to it, and is removed then.

A datagram may be lost: the kernel holds few (10, by default) for a worker that stands still, and
what it does not take within `PATIENCE_S` is given up. So nothing may depend on one. What is said
here only hastens what happens anyway: a stream ends after its lifetime, a row is found by the next
poll. Under another server than gunicorn with `poller.Worker` nothing is sent.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import msgspec

from poller.runtime import log

FOLDER = "POLLER_SIBLINGS"  # the folder's name in the environment, from the master to its workers
PREFIX = "rowcast-workers-"
# What fits into `sun_path`, everywhere; a long TMPDIR leaves no room for a socket's name.
MOST_PATH_BYTES = 100
SHORT_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108 - mkdtemp() makes a folder of its own in it
NAME_BYTES = 26  # what follows the prefix: eight of mkdtemp(), a slash, PID-RANDOM

MOST_BYTES = 16 * 1024
DATAGRAMS_AT_ONCE = 64  # then the others have their turn
PATIENCE_S = 30.0  # with a worker that takes nothing now
TRY_AGAIN_S = 0.05
MOST_UNSENT = 1_000

Handler = Callable[[Any], None]

_READABLE = 1  # the loop's flag for a watcher of input
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_KERNEL_TELLS = hasattr(socket, "SO_PASSCRED")


class Siblings:
    """This worker among those of its server. Before `join()`, and without a folder, it is alone:
    `send()` does nothing then."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._socket: socket.socket | None = None
        self._path = Path()
        self._watcher: Any = None
        self._unsent: dict[tuple[Path, bytes], float] = {}  # until when it is tried, oldest first

    def on(self, kind: str, handler: Handler) -> None:
        """Call `handler(data)`, in a greenlet of its own, when a sibling sends this kind."""
        self._handlers[kind] = handler

    def join(self, folder: str | None) -> None:
        """Be reachable in `folder`, from now on. One that is not private is not used."""
        if not folder or not is_private(Path(folder)):
            return
        self._path = Path(folder, f"{os.getpid()}-{secrets.token_hex(4)}")
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            ours.setblocking(False)
            if _KERNEL_TELLS:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            ours.bind(str(self._path))
        except OSError as error:
            ours.close()
            log.warning("workers cannot reach each other", error=str(error))
            return
        self._socket = ours
        self._watcher = gevent.get_hub().loop.io(ours.fileno(), _READABLE)
        self._watcher.start(self._read)

    @property
    def folder(self) -> Path | None:
        """Where this worker and the others can be reached; None if it is alone."""
        return None if self._socket is None else self._path.parent

    def leave(self) -> None:
        """No longer be reachable. Twice does nothing."""
        if self._socket is not None:
            self._watcher.stop()
            self._watcher.close()
            self._socket.close()
            self._socket = None
            self._path.unlink(missing_ok=True)
        self._unsent.clear()

    def send(self, kind: str, data: object) -> None:
        """Tell all others. Never waits; what a sibling does not take at once is tried again. What
        is said again while it waits is said once.

        `data` is anything that JSON can say. Raises ValueError if that is too long.
        """
        if self._socket is None:
            return
        message = msgspec.json.encode([kind, data])
        if len(message) > MOST_BYTES:
            raise ValueError(f"{len(message)} bytes are too many for the other workers")
        idle = not self._unsent
        for sibling in self._others():
            if not self._give(sibling, message):
                self._keep(sibling, message)
        if idle and self._unsent:
            gevent.spawn(self._send_rest)

    # -- sending ----------------------------------------------------------------------------

    def _others(self) -> Iterator[Path]:
        with suppress(OSError):  # the folder was removed: then nobody can be reached
            yield from (one for one in _sockets(self._path.parent) if one != self._path)

    def _give(self, sibling: Path, message: bytes) -> bool:
        """Whether this needs no other try."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(message, str(sibling))
        except BlockingIOError:
            return False
        except ConnectionRefusedError:
            sibling.unlink(missing_ok=True)  # nobody else takes that name
        except OSError as error:
            log.debug("a worker cannot be reached", error=str(error))
        return True

    def _keep(self, sibling: Path, message: bytes) -> None:
        self._unsent.setdefault((sibling, message), time.monotonic() + PATIENCE_S)
        if len(self._unsent) > MOST_UNSENT:
            del self._unsent[next(iter(self._unsent))]

    def _send_rest(self) -> None:
        while self._unsent:
            for told, until in [*self._unsent.items()]:
                if self._give(*told):
                    self._unsent.pop(told, None)
                elif time.monotonic() > until:
                    self._unsent.pop(told, None)
                    log.warning("a worker takes no messages", worker=told[0].name)
            gevent.sleep(TRY_AGAIN_S)

    # -- receiving --------------------------------------------------------------------------

    def _read(self) -> None:
        """In the hub, where nothing may wait."""
        for _ in range(DATAGRAMS_AT_ONCE):
            if self._socket is None:
                return
            try:
                message, told, flags, _ = self._socket.recvmsg(
                    MOST_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:  # there is no more
                return
            if not flags & socket.MSG_TRUNC and _is_from_us(told):
                gevent.spawn(self._handle, message)

    def _handle(self, message: bytes) -> None:
        try:
            kind, data = msgspec.json.decode(message)
            if handler := self._handlers.get(kind):  # a newer worker may say what we do not know
                handler(data)
        except Exception as error:  # noqa: BLE001 - the next message is another one
            log.error("a message of a worker failed", exc_info=error)


ours = Siblings()  # of this process


def _is_from_us(told: list[tuple[int, int, bytes]]) -> bool:
    """What the kernel told of the sender, if it tells that."""
    if not _KERNEL_TELLS:
        return True
    for level, kind, value in told:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            _, uid, _ = _CREDENTIALS.unpack(value[: _CREDENTIALS.size])
            return uid in (0, os.geteuid())
    return False


# -- the folder, in the master ------------------------------------------------------------------


def make_folder(environ: MutableMapping[str, str], uid: int, gid: int) -> Path | None:
    """The folder of this server's workers, who run as `uid` and `gid`; its name is left in
    `environ` for them. A master that takes over from another one uses that one's. None, and one
    line in the log, if there is no place for one."""
    if (known := environ.get(FOLDER)) and is_private(Path(known), uid):
        return Path(known)
    for place in (tempfile.gettempdir(), *SHORT_FOLDERS):
        if len(os.fsencode(place)) + 1 + len(PREFIX) + NAME_BYTES > MOST_PATH_BYTES:
            continue
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
            if uid != os.geteuid():
                os.chown(folder, uid, gid)
            environ[FOLDER] = folder
            return Path(folder)
    log.warning("workers cannot reach each other", error="no short folder can be written to")
    return None


def is_private(folder: Path, uid: int | None = None) -> bool:
    """Whether it is a folder that only its owner can look into, and `uid` (default: this process)
    is that."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    owner = os.geteuid() if uid is None else uid
    return stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077 and found.st_uid == owner


def _sockets(folder: Path) -> list[Path]:
    """Of the workers; what has a name with a dot is none."""
    return [one for one in folder.iterdir() if not one.name.startswith(".")]
