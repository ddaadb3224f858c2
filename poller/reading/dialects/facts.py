"""The facts that an examination of a table brings, whatever the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.ids.ranges import MAX_ID
from poller.reading.dialects.file_identity import file_identity
from poller.reading.fence import Fence
from poller.reading.snapshot import History
from poller.wire.epoch import LASTING_DIGITS, PASSING_DIGITS

NOT_TOLD: ColumnElement[Any] = sa.null()
# What polling/identity.py cannot know of any table.
LIMITS = (
    "not noticed: ids given out again between two polls, to a row like the one that was deleted",
    "a needless reset: an UPDATE changed everything that told the newest row from others",
)
UNKNOWN_LATER = "not noticed by a worker that started later:"
NEEDLESS_LATER = "a needless reset, by a worker that started later:"


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
    """`status` selects one row: see `status()`.

    `file` is the database's if it is one; `in_file` says that all rows are in it. `outlying`: see
    the function. `numbered` is that of `History`. `limits` are what is mistaken about the table's
    history however well everything is set up.
    """

    status: sa.Select[Any]
    fence: Fence
    findings: Sequence[Finding]
    file: str = ""
    in_file: bool = False
    outlying: bool = False
    numbered: bool = False
    limits: Sequence[str] = ()

    @property
    def exceptions(self) -> list[Finding]:
        return exceptions(self.findings)

    @property
    def identity(self) -> sa.Select[Any]:
        """`status` without the counters, which cost a look-up, and the time."""
        columns = list(self.status.selected_columns)
        others = (NOT_TOLD.label(str(one.key)) for one in columns[HISTORY_COLUMNS:])
        return self.status.with_only_columns(*columns[:HISTORY_COLUMNS], *others)

    def history(self, told_place: Any, lasting: Any, passing: Any) -> History:
        """From what `status` told. Raises OSError if the database's file is gone."""
        place = f"{told_place}{file_identity(self.file)}" if self.file else str(told_place)
        return _history(place, str(lasting), str(passing), numbered=self.numbered)


HISTORY_COLUMNS = 3  # the first of the status


def status(
    place: ColumnElement[Any],
    lasting: ColumnElement[Any] = NOT_TOLD,
    passing: ColumnElement[Any] = NOT_TOLD,
    *,
    counter: ColumnElement[Any] = NOT_TOLD,
    given: ColumnElement[Any] = NOT_TOLD,
    second: ColumnElement[Any] = NOT_TOLD,
) -> sa.Select[Any]:
    """The status of a table, from the columns that tell it.

    Where it is; what is new once it is recreated; what is new also once it is rewritten or altered;
    the counters of `Reading`; and the second, since 1970, of the database's clock.
    """
    return sa.select(
        place.label("rowcast_place"),
        lasting.label("rowcast_lasting"),
        passing.label("rowcast_passing"),
        counter.label("rowcast_counter"),
        given.label("rowcast_given"),
        second.label("rowcast_second"),
    )


def outlying(counter: int | None, given: int | None) -> bool:
    """Whether there are ids that were not given out, or none left that can be streamed."""
    return counter is not None and (counter >= MAX_ID or (given is not None and counter > given))


def quoted_name(connection: Connection, table: sa.Table) -> str:
    """The table's name in SQL, with its schema."""
    name = connection.dialect.identifier_preparer.format_table(table)
    return name.replace("%%", "%")  # drivers that fill in parameters want it twice; we pass none


@lru_cache(maxsize=256)  # each poll tells the same
def _history(place: str, lasting: str, passing: str, *, numbered: bool) -> History:
    epoch = _hash(f"{place}/{lasting}", LASTING_DIGITS) + _hash(passing, PASSING_DIGITS)
    return History(place, epoch, numbered)


def _hash(text: str, digits: int) -> str:
    return hashlib.blake2s(text.encode(), digest_size=digits // 2).hexdigest()
