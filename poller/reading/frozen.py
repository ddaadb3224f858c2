"""`columns="*"`: the columns that a table has when it is first read, and no other one ever.

A column that somebody adds later may be nobody's business, a password hash at worst. So the list of
the first look is kept in a file, and counts for every worker of the machine: those that run, those
that start after an ALTER, and those that start after a reboot. It is written whole and under its
name only if nobody was quicker, so that workers that start together have one list.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote

from poller.runtime import log

READABLE = 0o644  # names of columns are no secret, and another user may run the doctor
INSTEAD = 'list the columns in the code: columns=["id", …]'


class FrozenError(ValueError):
    """The list cannot be read or kept; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The list of one feed, in the file `path`. `label` is the feed's name in the log. If it is not
    `kept`, the file is read at most: so that a command that only looks leaves nothing behind."""

    path: Path
    label: str
    kept: bool = True

    @classmethod
    def of(cls, folder: Path, label: str, table: str) -> Self:
        """That of a feed, in an application's folder; one of another table is another list."""
        return cls(folder / "rowcast" / f"{_spelt(label)}.{_spelt(table)}.columns.json", label)

    def only_read(self) -> Frozen:
        return replace(self, kept=False)

    def check(self) -> None:
        """Raises FrozenError if the list is neither there nor could be kept."""
        if not self.path.exists():
            self._written(()).unlink()

    def names(self, found: Sequence[str]) -> Sequence[str]:
        """The list; if there is none yet, it is `found` from now on. Raises FrozenError."""
        names = self._read()
        if names is None:
            if not self.kept:
                return found
            self._link(self._written(found))
            names = self._read() or found
        self._tell(names, found)
        return names

    def _tell(self, names: Sequence[str], found: Sequence[str]) -> None:
        log.warning(
            "columns are those of the first look",
            feed=self.label,
            columns=[*names],
            not_sent=[name for name in found if name not in names],
            file=str(self.path),
            better=INSTEAD,
        )

    # -- the file ---------------------------------------------------------------------------

    def _read(self) -> Sequence[str] | None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise FrozenError(self._unreadable(error)) from None
        try:
            names = json.loads(text)["columns"]
        except (ValueError, KeyError, TypeError) as error:
            raise FrozenError(self._unreadable(error)) from None
        if not (isinstance(names, list) and names and all(isinstance(one, str) for one in names)):
            raise FrozenError(self._unreadable(ValueError()))
        return names

    def _unreadable(self, error: Exception) -> str:
        why = getattr(error, "strerror", None) or "it is no list of columns"
        return f'columns="*": {self.path} cannot be used: {why}; remove it, or {INSTEAD}'

    def _written(self, names: Sequence[str]) -> Path:
        """The list under a name of its own, safely on the disk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".columns-")
            written = Path(name)
            try:
                self._fill(descriptor, names)
            except OSError:
                written.unlink()
                raise
        except OSError as error:
            raise FrozenError(self._unwritable(error)) from None
        return written

    @staticmethod
    def _fill(descriptor: int, names: Sequence[str]) -> None:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"columns": [*names]}, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fchmod(descriptor, READABLE)
            os.fsync(descriptor)

    def _link(self, written: Path) -> None:
        """The list under its own name, unless there is one."""
        try:
            os.link(written, self.path)
        except FileExistsError:
            pass
        except OSError as error:
            raise FrozenError(self._unwritable(error)) from None
        finally:
            written.unlink()

    def _unwritable(self, error: OSError) -> str:
        return (
            f'columns="*": the list of columns cannot be kept in {self.path.parent} '
            f"({error.strerror}), so after a restart it could be another one; {INSTEAD}"
        )


def _spelt(name: str) -> str:
    """For a name of a file."""
    return quote(name, safe="")
