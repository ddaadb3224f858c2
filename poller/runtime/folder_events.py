"""What happens to the files of a folder, as Linux tells it by inotify(7).

It costs nothing while nothing happens. Python has no call for it; the C library has. A system
without it raises OSError, and so does a user who has no more of them (`max_user_instances`). On a
network file system it tells of what this machine does, and of nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Any

IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
IN_MOVE_SELF, IN_ONLYDIR = 0x800, 0x1000000
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
WANTED = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_ONLYDIR
EVENT = struct.Struct("iIII")  # watch, mask, cookie, bytes of the name
BYTES_AT_ONCE = 64 * 1024


class FolderEvents:
    """Those of one folder, from now on. `descriptor` is readable when there are some.

    Raises OSError if they cannot be had.
    """

    def __init__(self, folder: str) -> None:
        if (libc := _libc()) is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self.descriptor = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            _checked(libc.inotify_add_watch(self.descriptor, os.fsencode(folder), WANTED))
        except OSError:
            self.close()
            raise

    def names(self) -> set[str] | None:
        """Of the files to which something has happened since the last call; never waits. None if
        that is not known: there was too much, or the folder is another one."""
        names: set[str] = set()
        while read := self._read():
            at = 0
            while at < len(read):
                _, mask, _, length = EVENT.unpack_from(read, at)
                at += EVENT.size + length
                if mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_MOVE_SELF):
                    return None
                names.add(os.fsdecode(read[at - length : at].rstrip(b"\0")))
        return names

    def close(self) -> None:
        os.close(self.descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self.descriptor, BYTES_AT_ONCE)
        except BlockingIOError:
            return b""


def _libc() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    return libc if hasattr(libc, "inotify_init1") else None


def _checked(answer: int) -> int:
    if answer < 0:
        raise OSError(number := ctypes.get_errno(), os.strerror(number))
    return answer
