"""The key that signs cookies: made once, readable by its owner only.

Invariant: however many workers start at once, all of them get the same key. A file that is only
half written is never seen, because it gets its name by a hard link when it is whole, and a link
fails where the name exists.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from wall.settings import SettingsError

KEY_BYTES = 32


def read_or_make(path: Path) -> str:
    """The key in `path`; made where it is missing. Raises SettingsError where that cannot be."""
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SettingsError(
            f"cannot keep a secret key in {path} ({error.strerror}). Set SECRET_KEY."
        ) from error
    if not key:
        raise SettingsError(f"{path} is empty. Delete it, or set SECRET_KEY.")
    return key


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
