"""Where PostgreSQL's versions come from: a default for each INSERT, a trigger for each UPDATE.

Both are executed by a statement that has locked the table (RowExclusiveLock) before, and holds that
to the end of its transaction, as an INSERT does for an id. So whoever may own a missing version is
seen by a lock on the table. The sequence's own lock is looked at, too: a program may have called
`nextval` before its UPDATE. It has to be known all the same: whether a connection keeps numbers for
later (CACHE) is a matter of the sequence.

A row's versions rise. A trigger before an UPDATE is called when its row is locked, and `SET version
= DEFAULT` is computed anew for a row that was locked by another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from poller.reading import after_grace
from poller.reading.dialects import postgresql_generator
from poller.reading.dialects.facts import Finding
from poller.reading.dialects.postgresql_relation import Relation, literal, told_of
from poller.reading.dialects.versions import RECIPES, Numbered, generator_findings
from poller.reading.fence import GracePeriod

# pg_trigger.tgtype
ROW, BEFORE, INSERT, UPDATE = 1, 2, 4, 16
SHOW_TRIGGERS = (  # to a person
    "SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON tgfoid = pg_proc.oid"
    " WHERE tgrelid = {}::regclass"
)


class Trigger(NamedTuple):
    """One that names the column; `drawn` are the sequences that it calls `nextval` of, by their
    oids, None for one that is not found. `body` is another once its function is."""

    name: str
    kind: int
    columns: Sequence[str]
    drawn: Sequence[int | None]
    body: str

    def comes_before(self, change: int) -> bool:
        return self.kind & (ROW | BEFORE | change) == ROW | BEFORE | change


@dataclass(frozen=True, slots=True)
class Versions(Relation):
    """A relation whose key is a version."""

    versions: ClassVar[bool] = True
    triggers: Sequence[Trigger] = ()

    def trigger(self, change: int) -> Trigger | None:
        return next((one for one in self.triggers if one.comes_before(change)), None)

    def numbered_by(self, change: int) -> Numbered:
        default = "" if self.default is None else self.default
        if (found := self.trigger(change)) is not None:
            return Numbered(default, found.name, found.columns)
        return Numbered(default)

    @property
    def unclear(self) -> list[str]:
        """The triggers of which it cannot be told from which sequence they take the version."""
        known = {one.oid for one in self.sequences}
        used = filter(None, (self.trigger(INSERT), self.trigger(UPDATE)))
        return sorted({one.name for one in used if not (one.drawn and known.issuperset(one.drawn))})

    @property
    def plain(self) -> bool:
        by_default = Relation.plain.__get__(self)
        return (by_default or self.trigger(INSERT) is not None) and not self.unclear


def versions_of(connection: Connection, table: sa.Table, key: str) -> Versions:
    told = told_of(connection, table, key, versions=True)
    triggers = [Trigger(**one) for one in told.pop("triggers")]
    return Versions(**told, triggers=triggers)


def findings_of(
    relation: Versions, table: sa.Table, version: str, grace: GracePeriod
) -> Iterator[Finding]:
    """How versions are given out."""
    late = after_grace.lacks(grace).replace("INSERT", "INSERT or UPDATE")
    shown = SHOW_TRIGGERS.format(literal(relation.name))
    how = relation.numbered_by(INSERT), relation.numbered_by(UPDATE)
    yield from generator_findings(table, version, *how, shown)
    for name in relation.unclear:
        yield Finding(
            f"it cannot be told from which sequence the trigger {name} takes the version",
            late,
            f"let its function call nextval('…') with the name of a sequence: {RECIPES}",
            shown,
        )
    if not relation.sequences:
        yield Finding(
            f"no sequence gives {table.name}.{version} its value",
            f"{late}; versions that start again are not noticed",
            f"take versions from a sequence: {RECIPES}",
            shown,
        )
    for one in relation.sequences:
        yield from postgresql_generator.of_sequence(one, grace)
    if len(relation.sequences) > 1:
        yield Finding(
            f"{table.name}.{version} takes its values from several sequences",
            f"a change whose number is below the newest of another may not be streamed; {late}",
            "let the default and the triggers take them from one sequence",
            shown,
        )
