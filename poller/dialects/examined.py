"""What an examination of a table brings, whatever the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from poller.fence import Fence

NOT_TOLD: ColumnElement[Any] = sa.null()


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact; where it takes from the promise, what is then `lacking`, and what to do."""

    fact: str
    lacking: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.fact}: {self.lacking}" if self.lacking else self.fact


@dataclass(frozen=True, slots=True)
class Examined:
    """`status` selects one row: what the epoch is made of, the counter, the version.

    `file` is the database's where it is one.
    """

    status: sa.Select[Any]
    fence: Fence
    findings: Sequence[Finding]
    file: str | None = None

    @property
    def lacking(self) -> list[Finding]:
        """What is not promised."""
        return [finding for finding in self.findings if finding.lacking]

    def epoch(self, told: Any) -> str:
        """Six hexadecimal digits, from what `status` told. Raises OSError: the file is gone."""
        return hashlib.blake2s(f"{told}{_inode(self.file)}".encode(), digest_size=3).hexdigest()


def history(
    epoch: ColumnElement[Any],
    counter: ColumnElement[Any] = NOT_TOLD,
    version: ColumnElement[Any] = NOT_TOLD,
) -> sa.Select[Any]:
    """The status of a table, from the columns that tell it."""
    return sa.select(
        epoch.label("rowcast_epoch"),
        counter.label("rowcast_counter"),
        version.label("rowcast_version"),
    )


def _inode(path: str | None) -> str:
    """Which file this is: a swapped one differs."""
    if path is None:
        return ""
    stat = Path(path).stat()
    return f"/{stat.st_dev}/{stat.st_ino}"
