"""The key that signs cookies: made once, readable by its owner only.

Invariant: however many workers start at once, all of them get the same key. A file that is only
half written is never seen, because it gets its name by a hard link when it is whole, and a link
fails where the name exists.

A key that others can read or wrote themselves signs whatever they like, so it is refused: a file of
another user, one that others may open, a symbolic link, and what is no key.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from wall.settings import SHORTEST_SECRET, SettingsError

KEY_BYTES = 32
MOST_BYTES = 4096  # of a file that may be a key
KEY = re.compile(rf"[!-~]{{{SHORTEST_SECRET},}}", re.ASCII)


def read_or_make(path: Path) -> str:
    """The key in `path`; made where it is missing. Raises SettingsError where that cannot be, and
    where the file is not one to trust."""
    try:
        if not os.path.lexists(path):
            _make(path)
        written = _read(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "is a symbolic link") from None
        raise SettingsError(
            f"cannot keep a secret key in {path} ({error.strerror}). Set SECRET_KEY."
        ) from error
    key = written.decode("ascii", "replace").strip()
    if not KEY.fullmatch(key):
        raise _refused(path, f"holds no key of {SHORTEST_SECRET} characters or more")
    return key


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path, "is not a file")
        if found.st_uid != os.geteuid():
            raise _refused(path, "belongs to another user")
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise _refused(path, f"can be opened by others (mode {found.st_mode & 0o777:o})")
        return file.read(MOST_BYTES)


def _refused(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"{path} {why}. Delete it, so that a new key is made (forms that are open then have to be "
        "sent again), or set SECRET_KEY."
    )


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(KEY_BYTES))
        with suppress(FileExistsError):  # another worker was first: its key it is
            os.link(draft, path)
    finally:
        draft.unlink()
