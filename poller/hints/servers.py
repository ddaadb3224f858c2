"""The running servers of this user, and a hint to all their workers: what `rowcast wake` does.

Workers take datagrams from their own user and from root (`serving/siblings.py`), so this finds the
folders of this user's servers alone. Root is not led by the names in a folder for all: it reaches
another user's server only by a folder that it was told.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from poller.hints.teller import WAKE, Said
from poller.serving.siblings import PREFIX, SHORT_FOLDERS, is_private

PATIENCE_S = 1.0  # with a worker that takes nothing now


class NobodyThere(Exception):  # noqa: N818 - the text is a sentence
    """No worker can be told; the text says why, and what to do."""


def wake(names: Sequence[str], folder: str | None = None) -> int:
    """Tell all workers that rows were inserted into the tables of these feeds, by default of any.

    Returns how many workers were told. `folder` is that of one server, by default those that are
    found. Raises NobodyThere if there is none.
    """
    said: list[Said] = [(None, name) for name in names] or [(None, None)]
    messages = [msgspec.json.encode([WAKE, one]) for one in said]
    folders = [_checked(Path(folder))] if folder else [*_found()]
    told = sum(_tell(path, messages) for one in folders for path in _sockets(one))
    if not told:
        where = f"no worker can be reached in {folder}" if folder else "no running server was found"
        raise NobodyThere(
            f"{where}. Workers of gunicorn -k poller.Worker can be told, by the user that runs "
            "them and with the temporary folder that they have: run this as that user, or name the "
            "folder with --folder: it is POLLER_SIBLINGS in a worker's environment"
        )
    return told


def _found() -> Iterator[Path]:
    places = {Path(place).resolve() for place in (tempfile.gettempdir(), *SHORT_FOLDERS)}
    for place in sorted(places):
        yield from (one for one in sorted(place.glob(f"{PREFIX}*")) if is_private(one))


def _checked(folder: Path) -> Path:
    """Raises NobodyThere if it is not a server's."""
    try:
        owner = folder.lstat().st_uid
    except OSError as error:
        raise NobodyThere(f"{folder} cannot be looked into: {error.strerror}") from None
    if os.geteuid() not in (0, owner):
        raise NobodyThere(f"{folder} belongs to another user: run this as that user")
    if not is_private(folder, owner):
        raise NobodyThere(f"{folder} is no server's folder: others than its owner can look into it")
    return folder


def _sockets(folder: Path) -> Iterator[str]:
    try:
        for one in sorted(folder.iterdir()):
            if stat.S_ISSOCK(one.lstat().st_mode):
                yield str(one)
    except OSError:  # the server ended meanwhile
        return


def _tell(path: str, messages: Iterable[bytes]) -> bool:
    """Whether the worker took them. That of one that was killed refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE_S)
        try:
            for message in messages:
                asking.sendto(message, path)
        except OSError:
            return False
    return True
