"""Where SQLite's versions come from: triggers, and the counter that they count up.

There is no other way: a default is no number of its own, and AUTOINCREMENT is for a key that does
not change. That the order of versions is the order of commits needs no counter, since there is one
writer at a time. That no version is given out twice does: `max(version) + 1` gives that of a row
which was deleted to the next change, and whoever had the deleted one never gets the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.elements import ColumnElement

from poller.reading.dialects.facts import NOT_TOLD, Finding
from poller.reading.dialects.versions import (
    INSERT,
    RECIPES,
    UPDATE,
    Numbered,
    generator_findings,
)

IDENTIFIER = r'["`\[]?(\w+)["`\]]?'
EVENT = re.compile(
    rf"\bTRIGGER\b.*?\b(BEFORE|AFTER|INSTEAD\s+OF)?\s*\b({INSERT}|{UPDATE}|DELETE)"
    r"(?:\s+OF\s+(.*?))?\s+ON\s",
    re.IGNORECASE | re.DOTALL,
)
# The form of the recipes: a counter row, which is named by a text or alone in its table.
COUNTED = re.compile(
    rf"\bUPDATE\s+{IDENTIFIER}\s+SET\s+{IDENTIFIER}\s*=\s*{IDENTIFIER}\s*\+\s*1"
    rf"(?:\s+WHERE\s+{IDENTIFIER}\s*=\s*'([^']*)')?\s*;",
    re.IGNORECASE,
)
TRIGGERS = sa.text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:table)"
)


class Counter(NamedTuple):
    """A row that triggers count up."""

    table: str
    column: str
    name_column: str = ""
    name: str = ""

    @property
    def value(self) -> ColumnElement[Any]:
        last: sa.ColumnClause[Any] = sa.column(self.column)
        found = sa.select(sa.func.max(last)).select_from(sa.table(self.table, last))
        if self.name_column:
            found = found.where(sa.column(self.name_column) == self.name)
        return found.scalar_subquery()


class Trigger(NamedTuple):
    """One that sets the version. `counter` is the row that it counts up, if that can be told."""

    event: str
    numbers: Numbered
    counter: Counter | None


class Generator(NamedTuple):
    """What numbers the changes; `last` tells the greatest number that was given out."""

    findings: Sequence[Finding]
    complete: bool
    last: ColumnElement[Any]


def generator(connection: Connection, table: sa.Table, version: str) -> Generator:
    triggers = [*_triggers(connection, table, version)]
    how = {one.event: one.numbers for one in triggers}
    inserted, updated = how.get(INSERT, Numbered()), how.get(UPDATE, Numbered())
    shown_by = f"SELECT sql FROM sqlite_master WHERE tbl_name = '{table.name}'"  # noqa: S608 - shown
    findings = [*generator_findings(table, version, inserted, updated, shown_by)]
    counters = {one.counter for one in triggers}
    if not (inserted and updated):
        return Generator(findings, False, NOT_TOLD)
    if len(counters) == 1 and (counter := counters.pop()) is not None:
        findings.append(Finding(f"versions are counted in {counter.table}.{counter.column}"))
        greatest = sa.select(sa.func.max(table.c[version])).scalar_subquery()
        zero: ColumnElement[Any] = sa.literal_column("0")
        told = [sa.func.coalesce(one, zero) for one in (counter.value, greatest)]
        return Generator(findings, True, sa.func.max(*told))
    findings.append(
        Finding(
            "no counter is known from which the triggers take the versions",
            "if they take max + 1, a change gets the version of a deleted newest row, and is not "
            "streamed to whoever had that; versions that start again are not noticed",
            f"let both triggers count up one counter row: {RECIPES}",
            shown_by,
        )
    )
    return Generator(findings, True, NOT_TOLD)


def _triggers(connection: Connection, table: sa.Table, version: str) -> Iterator[Trigger]:
    sets = re.compile(
        rf"\bUPDATE\s+(?:OR\s+\w+\s+)?[\"`\[]?{re.escape(table.name)}[\"`\]]?\s+SET\b[^;]*?"
        rf"[\"`\[]?\b{re.escape(version)}\b[\"`\]]?\s*=",
        re.IGNORECASE,
    )
    for name, sql in connection.execute(TRIGGERS, {"table": table.name}):
        event = EVENT.search(sql)
        if event is None or not sets.search(sql, event.end()):
            continue
        columns = [one.strip(' \n\t"`[]') for one in (event[3] or "").split(",") if one.strip()]
        counted = COUNTED.search(sql, event.end())
        yield Trigger(event[2].upper(), Numbered(trigger=name, columns=columns), _counter(counted))


def _counter(found: re.Match[str] | None) -> Counter | None:
    if found is None or found[2].lower() != found[3].lower():
        return None
    return Counter(found[1], found[2], found[4] or "", found[5] or "")
