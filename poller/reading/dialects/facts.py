"""The facts that an examination of a table brings, whatever the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID
from poller.reading.fence import Fence
from poller.reading.snapshot import History

NOT_TOLD: ColumnElement[Any] = sa.null()


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact. If it takes from the promise: what is then `lacking`, the `remedy`, and the SQL that
    the fact is `shown_by`."""

    fact: str
    lacking: str = ""
    remedy: str = ""
    shown_by: str = ""

    def __str__(self) -> str:
        return f"{self.fact}: {self.lacking}" if self.lacking else self.fact


def exceptions(findings: Sequence[Finding]) -> list[Finding]:
    """Those that take something from the promise."""
    return [finding for finding in findings if finding.lacking]


@dataclass(frozen=True, slots=True)
class TableFacts:
    """`status` selects one row: what the place is made of, the table's version, the counters.

    `file` is the database's if it is one. `outlying`: see the function.
    """

    status: sa.Select[Any]
    fence: Fence
    findings: Sequence[Finding]
    file: str | None = None
    outlying: bool = False

    @property
    def exceptions(self) -> list[Finding]:
        return exceptions(self.findings)

    @property
    def identity(self) -> sa.Select[Any]:
        """`status` without the counters, which cost a look-up."""
        place, version, *counters = self.status.selected_columns
        others = (NOT_TOLD.label(str(one.key)) for one in counters)
        return self.status.with_only_columns(place, version, *others)

    def history(self, told_place: Any, version: Any) -> History:
        """From what `status` told. Raises OSError if the database's file is gone."""
        place = f"{told_place}{_inode(self.file)}"
        epoch = hashlib.blake2s(f"{place}/{version}".encode(), digest_size=3).hexdigest()
        return History(place, epoch)


def status(
    place: ColumnElement[Any],
    version: ColumnElement[Any] = NOT_TOLD,
    counter: ColumnElement[Any] = NOT_TOLD,
    given: ColumnElement[Any] = NOT_TOLD,
) -> sa.Select[Any]:
    """The status of a table, from the columns that tell it; the counters are those of `Reading`."""
    return sa.select(
        place.label("rowcast_place"),
        version.label("rowcast_version"),
        counter.label("rowcast_counter"),
        given.label("rowcast_given"),
    )


def outlying(counter: int | None, given: int | None) -> bool:
    """Whether there are ids that were not given out, or none left that can be streamed."""
    return counter is not None and (counter >= MAX_ID or (given is not None and counter > given))


def quoted_name(connection: Connection, table: sa.Table) -> str:
    """The table's name in SQL, with its schema."""
    name = connection.dialect.identifier_preparer.format_table(table)
    return name.replace("%%", "%")  # drivers that fill in parameters want it twice; we pass none


def _inode(path: str | None) -> str:
    """Which file this is: a swapped one differs."""
    if path is None:
        return ""
    stat = Path(path).stat()
    return f"/{stat.st_dev}/{stat.st_ino}"
