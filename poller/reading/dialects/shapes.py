"""The shapes of tables: columns, keys and indexes, read of all tables of a database at once.

`Shapes` answers what SQLAlchemy's inspector answers, but from what was read before: that one asks
several questions of each table, which takes seconds where there are hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

TABLE, VIEW = "table", "view"
PARTITION, PARTITIONED = "partition", "partitioned table"
MATERIALIZED, FOREIGN = "materialized view", "foreign table"

Column = Mapping[str, Any]


class Inspects(Protocol):
    """What is asked of an inspector. A materialized view and a foreign table have neither kind of
    name, only `has_table()`."""

    def has_table(self, table_name: str, schema: str | None = None) -> bool: ...
    def get_table_names(self, schema: str | None = None) -> Sequence[str]: ...
    def get_view_names(self, schema: str | None = None) -> Sequence[str]: ...
    def get_columns(self, table_name: str, schema: str | None = None) -> Sequence[Column]: ...
    def get_pk_constraint(self, table_name: str, schema: str | None = None) -> Column: ...
    def get_indexes(self, table_name: str, schema: str | None = None) -> Sequence[Column]: ...
    def get_unique_constraints(
        self, table_name: str, schema: str | None = None
    ) -> Sequence[Column]: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """One table or view.

    `schema` is None where the name alone means this one. `columns` and `indexes` are as an
    inspector has them, an index that a poll cannot walk left out; a column's type is only told
    apart into integers and others. `rows` is an estimate, None if there is none. If it is not
    `readable`, `problem` may say why.
    """

    schema: str | None
    name: str
    kind: str
    rows: int | None
    readable: bool = True
    columns: Sequence[Column] = ()
    primary: Sequence[str] = ()
    indexes: Sequence[Column] = ()
    partitioned_by: str | None = None
    problem: str = ""

    def table(self) -> sa.Table:
        """Its name, its columns and its primary key."""
        columns = [
            sa.Column(one["name"], one["type"], primary_key=one["name"] in self.primary)
            for one in self.columns
        ]
        return sa.Table(self.name, sa.MetaData(), *columns, schema=self.schema)


class Shapes:
    """Those of a database, as an inspector: see `Inspects`."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._by_name = {(one.schema, one.name): one for one in shapes}

    def has_table(self, table_name: str, schema: str | None = None) -> bool:
        return (schema, table_name) in self._by_name

    def get_table_names(self, schema: str | None = None) -> Sequence[str]:
        return self._names(schema, TABLE, PARTITION, PARTITIONED)

    def get_view_names(self, schema: str | None = None) -> Sequence[str]:
        return self._names(schema, VIEW)

    def get_columns(self, table_name: str, schema: str | None = None) -> Sequence[Column]:
        return self._by_name[schema, table_name].columns

    def get_pk_constraint(self, table_name: str, schema: str | None = None) -> Column:
        return {"constrained_columns": [*self._by_name[schema, table_name].primary]}

    def get_indexes(self, table_name: str, schema: str | None = None) -> Sequence[Column]:
        return self._by_name[schema, table_name].indexes

    def get_unique_constraints(
        self, table_name: str, schema: str | None = None
    ) -> Sequence[Column]:
        """None: each is among the indexes."""
        return ()

    def partitioned_by(self, table: sa.Table) -> str | None:
        return self._by_name[table.schema, table.name].partitioned_by

    def _names(self, schema: str | None, *kinds: str) -> list[str]:
        named = self._by_name.items()
        return [name for (of, name), one in named if of == schema and one.kind in kinds]
