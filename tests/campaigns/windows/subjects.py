"""What is watched: tables with keys of each kind, a view with a join, a SELECT with a filter."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

OWNERS = 3
OTHERS = "sort INTEGER NOT NULL, x INTEGER NOT NULL, owner INTEGER NOT NULL"
ITEMS = sa.table("items", *map(sa.column, ("id", "sort", "x", "owner")))
TEXT = {"sqlite": "TEXT", "postgresql": "TEXT", "mysql": "VARCHAR(40)"}
UUID = {"sqlite": "TEXT", "postgresql": "UUID", "mysql": "CHAR(36)"}
NAMESPACE = uuid.UUID("5e4f0a10-6a57-4b0c-9d1c-0123456789ab")

Key = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """`key_of` makes the key of the row with a number; `columns` defines the key's columns, by
    dialect. `query` is the window's own question, in SQL, without a limit."""

    name: str
    source: object
    key: tuple[str, ...]
    columns: Callable[[str], str]
    key_of: Callable[[int], Key]
    query: str
    order_by: object = "sort"
    views: tuple[str, ...] = ()

    def create(self, connection: Connection) -> None:
        primary = ", ".join(self.table_key)
        columns = self.columns(connection.dialect.name)
        for statement in (
            f"CREATE TABLE items ({columns}, {OTHERS}, PRIMARY KEY ({primary}))",
            "CREATE TABLE owners (id INTEGER NOT NULL PRIMARY KEY, who VARCHAR(20) NOT NULL)",
            *(f"INSERT INTO owners VALUES ({at}, 'owner {at}')" for at in range(OWNERS)),
            *self.views,
        ):
            connection.exec_driver_sql(statement)

    @property
    def table_key(self) -> tuple[str, ...]:
        """The columns of the key in `items`."""
        return tuple(self.key_of(0))

    def expected(self, connection: Connection, size: int) -> dict[Any, dict[str, Any]]:
        """What a client that is level holds: rows by their keys, as they go out."""
        found = connection.execute(sa.text(f"{self.query} LIMIT {size}")).mappings().all()
        rows = [{name: _sent(value) for name, value in row.items()} for row in found]
        return {tuple(row[name] for name in self.key): row for row in rows}


def _sent(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


def _ordered(*key: str) -> str:
    return "ORDER BY sort DESC, " + ", ".join(f"{name} DESC" for name in key)


def _integer(_: str) -> str:
    return "id INTEGER NOT NULL"


def _table(name: str, columns: Callable[[str], str], key_of: Callable[[int], Key]) -> Subject:
    key = tuple(key_of(0))
    query = f"SELECT {', '.join(key)}, sort, x, owner FROM items {_ordered(*key)}"
    return Subject(name, "items", key, columns, key_of, query)


JOINED = "SELECT i.id, i.sort, i.x, o.who FROM items i JOIN owners o ON o.id = i.owner"

SUBJECTS = (
    _table("integer key", _integer, lambda number: {"id": number}),
    _table(
        "text key",
        lambda dialect: f"name {TEXT[dialect]} NOT NULL",
        lambda number: {"name": f"n\u00e4me {number}"},
    ),
    _table(
        "uuid key",
        lambda dialect: f"id {UUID[dialect]} NOT NULL",
        lambda number: {"id": str(uuid.uuid5(NAMESPACE, str(number)))},
    ),
    _table(
        "composite key",
        lambda dialect: f"shop INTEGER NOT NULL, code {TEXT[dialect]} NOT NULL",
        lambda number: {"shop": number % 3, "code": f"c{number // 3}"},
    ),
    Subject(
        "view with a join",
        "joined",
        ("id",),
        _integer,
        lambda number: {"id": number},
        f"SELECT * FROM joined {_ordered('id')}",
        views=(f"CREATE VIEW joined AS {JOINED}",),
    ),
    Subject(
        "SELECT with a filter",
        sa.select(ITEMS.c.id, ITEMS.c.sort, (ITEMS.c.x + 1).label("y"))
        .where(ITEMS.c.x > 0)
        .order_by(ITEMS.c.sort.desc()),
        ("id",),
        _integer,
        lambda number: {"id": number},
        f"SELECT id, sort, x + 1 AS y FROM items WHERE x > 0 {_ordered('id')}",
        order_by=None,
    ),
)
