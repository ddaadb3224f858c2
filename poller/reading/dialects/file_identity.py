"""Which file a path names: one that was put in its place, or removed and created again, differs.

Device and inode are not enough: ext4 gives the inode of a removed file to the next one. The time of
birth tells these apart. Python shows it on macOS and Windows; on Linux it takes the call `statx`,
which `os` has only from 3.15 on. A file system may keep no such time (NFS, Linux before 4.11).
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

AT_FDCWD = -100
STATX_BTIME = 0x800
STATX_BYTES = 256
BTIME_AT = 80  # in struct statx: seconds, then nanoseconds


def file_identity(path: str) -> str:
    """Raises OSError if there is no such file."""
    stat = Path(path).stat()
    return f"/{stat.st_dev}/{stat.st_ino}/{birth_of(path) or ''}"


def birth_of(path: str) -> str:
    """When the file was created, to the nanosecond; empty if the system does not tell."""
    told = getattr(Path(path).stat(), "st_birthtime", None)
    return _by_statx(path) if told is None else str(told)


def _statx() -> Any:
    """The call of the C library, if this is a Linux that has it."""
    try:
        return ctypes.CDLL(None, use_errno=True).statx
    except (AttributeError, OSError, TypeError):
        return None


_call = _statx()


def _by_statx(path: str) -> str:
    if _call is None:
        return ""
    found = ctypes.create_string_buffer(STATX_BYTES)
    if _call(AT_FDCWD, os.fsencode(path), 0, STATX_BTIME, found):
        return ""
    (mask,) = struct.unpack_from("I", found)
    seconds, nanoseconds = struct.unpack_from("qI", found, BTIME_AT)
    return f"{seconds}.{nanoseconds:09d}" if mask & STATX_BTIME else ""
