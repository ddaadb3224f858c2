"""Columns as people see them, and the INSERT that a table would take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from poller.reading import shown
from poller.reading.database import Database
from poller.reading.description import Description
from poller.reading.table import Table
from tests.harness import sql

ORDERS = {
    "sqlite": """CREATE TABLE "Or""ders" (id INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL, "a b" VARCHAR(3) NOT NULL, total DECIMAL(10, 2) NOT NULL,
        paid BOOLEAN NOT NULL, items JSON NOT NULL, scan BLOB NOT NULL, day DATE NOT NULL,
        noted DATETIME NOT NULL, anything, note TEXT,
        came DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    "postgresql": """CREATE TYPE state AS ENUM ('it''s new', 'paid');
        CREATE TABLE "Or""ders" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        state state NOT NULL, "a b" varchar(3) NOT NULL, total numeric(10, 2) NOT NULL,
        paid boolean NOT NULL, items jsonb NOT NULL, scan bytea NOT NULL, day date NOT NULL,
        noted timestamp NOT NULL, anything text[] NOT NULL, note text, ref uuid NOT NULL,
        came timestamptz NOT NULL DEFAULT now())""",
    "mariadb": """CREATE TABLE `Or"ders` (id BIGINT AUTO_INCREMENT PRIMARY KEY,
        state ENUM('it''s new', 'paid') NOT NULL, `a b` VARCHAR(3) NOT NULL,
        total DECIMAL(10, 2) NOT NULL, paid BOOLEAN NOT NULL, items JSON NOT NULL,
        scan BLOB NOT NULL, day DATE NOT NULL, noted DATETIME NOT NULL, anything INT, note TEXT,
        came TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
}
SAME = {"id": "num", "a b": "text", "total": "num", "items": "json", "scan": "bytes"}
SAME |= {"day": "date", "noted": "text-time", "note": "text", "came": "time"}
OWN = {
    "sqlite": {"paid": "bool", "state": "text", "anything": "text"},
    "postgresql": {"paid": "bool", "state": "enum", "anything": "json", "ref": "uuid"},
    "mariadb": {"paid": "num", "state": "enum", "anything": "num", "items": "text"},
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    sql.run_script(database_url, ORDERS[sql.dialect_of(database_url)] + ";")
    database = Database(database_url)
    yield database
    database.close()


def described(database: Database, name: str) -> Description:
    table = Table(name)
    database.read(table.describe)
    return table.description


def test_the_kind_of_each_column(database: Database) -> None:
    found = shown.columns(described(database, 'Or"ders'), database)
    kinds = OWN[sql.dialect_of(str(database.url))]
    assert {one.name: one.kind for one in found} == SAME | kinds


def test_types_are_named_as_the_database_names_them(database: Database) -> None:
    found = {one.name: one.type for one in shown.columns(described(database, 'Or"ders'), database)}
    assert found["a b"] == "varchar(3)"
    assert found["total"] in ("decimal(10,2)", "numeric(10,2)")
    expected = {"sqlite": "datetime", "postgresql": "timestamptz", "mariadb": "timestamp"}
    assert found["came"] == expected[sql.dialect_of(str(database.url))]


def test_the_column_that_says_when_a_row_came(database: Database) -> None:
    assert shown.came_column(described(database, 'Or"ders'), database) == "came"


def test_the_insert_is_taken(database: Database, database_url: str) -> None:
    insert = shown.insert(described(database, 'Or"ders'), database)
    assert "came" not in insert
    sql.execute(database_url, insert.replace("%", "%%"))
    quoted = '`Or"ders`' if sql.dialect_of(database_url) == "mariadb" else '"Or""ders"'
    assert sql.execute(database_url, f"SELECT id FROM {quoted}") == [(1,)]


def test_an_insert_where_nothing_is_needed(database: Database, database_url: str) -> None:
    key = sql.KEY_TYPES[sql.dialect_of(database_url)]
    sql.execute(database_url, f"CREATE TABLE bare (id {key})")
    sql.execute(database_url, f"CREATE TABLE easy (id {key}, a INTEGER, b INTEGER, c INTEGER)")
    for name in ("bare", "easy"):
        sql.execute(database_url, shown.insert(described(database, name), database))
        assert sql.execute(database_url, f"SELECT count(*) FROM {name}") == [(1,)]


def test_its_own_client(database: Database) -> None:
    told = shown.client(database)
    program = {"sqlite": "sqlite3", "postgresql": "psql", "mariadb": "mariadb"}
    assert told.startswith(program[sql.dialect_of(str(database.url))] + " ")
    assert "file:" not in told


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "mariadb"])
def test_its_own_client_gets_no_password(kind: str) -> None:
    told = shown.client(Database(f"{kind}://ann:secret@db.example/shop"))
    assert "ann" in told
    assert "secret" not in told
