"""What is said of a table whose rows may change, in the same way of every database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from poller.reading.dialects.facts import Finding
from poller.reading.dialects.shapes import Inspects

RECIPES = "docs/versions.md has the SQL"
INSERT, UPDATE = "INSERT", "UPDATE"


@dataclass(frozen=True, slots=True)
class Numbered:
    """How a change gets its version: by the column's `default`, or by a `trigger`; by neither if
    both are empty. `columns`: the trigger fires only for changes of these, if any are named."""

    default: str = ""
    trigger: str = ""
    columns: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.default or self.trigger)


def key_findings(inspector: Inspects, table: sa.Table, key: Sequence[str]) -> Iterator[Finding]:
    """Whether the key tells one row from another."""
    primary = inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    names = ", ".join(key)
    if set(primary) == set(key):
        yield Finding(f"rows of {table.name} are told apart by the primary key: {names}")
        return
    indexes = inspector.get_indexes(table.name, table.schema)
    constraints = inspector.get_unique_constraints(table.name, table.schema)
    unique = [one["column_names"] for one in (*indexes, *constraints) if one.get("unique", True)]
    if any(set(columns) <= set(key) for columns in unique):
        yield Finding(f"rows of {table.name} are told apart by a unique index: {names}")
        return
    yield Finding(
        f"no unique index says that {names} tells one row of {table.name} from another",
        "of rows with the same key a client shows one",
        f"give {names} a unique index, or name another key",
    )


def generator_findings(
    table: sa.Table, version: str, inserted: Numbered, updated: Numbered, shown_by: str
) -> Iterator[Finding]:
    """Whether each change gets a number."""
    name = f"{table.name}.{version}"
    for change, how in ((INSERT, inserted), (UPDATE, updated)):
        if how.trigger:
            yield Finding(f"each {change} numbers {name} by the trigger {how.trigger}")
        elif how.default and change == INSERT:
            yield Finding(f"each {INSERT} numbers {name} by its default")
        elif how.default:
            yield Finding(
                f"no trigger numbers {name} at an {UPDATE}: programs have to say "
                f"SET {version} = DEFAULT",
                f"an {UPDATE} that does not say it is not streamed",
                f"add a trigger: {RECIPES}",
                shown_by,
            )
        else:
            yield Finding(
                f"nothing in the database numbers {name} at an {change}",
                f"an {change} that does not bring a new number by itself is not streamed",
                f"add a trigger: {RECIPES}",
                shown_by,
            )
        left = [one.name for one in table.columns if one.name not in (*how.columns, version)]
        if how.columns and left:
            yield Finding(
                f"the trigger {how.trigger} fires only for changes of {', '.join(how.columns)}",
                f"changes of {', '.join(left)} are not streamed",
                "let it fire for every column",
                shown_by,
            )
