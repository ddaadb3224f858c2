"""How a table is found and looked at: its name, its key, and what it refers to."""

import pytest
import sqlalchemy as sa

from poller.ids.cursor import Cursor
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.naming import source_name
from poller.reading.table import Table
from poller.wire import row
from tests.harness import sql

QUOTED = {"sqlite": '"a.b"', "postgresql": '"a.b"', "mariadb": "`a.b`"}


def ids_of(url: str, source: object) -> list[int]:
    database, table = Database(url), Table(source)
    try:
        database.read(table.describe)
        return [one.id for one in database.read(lambda c: table.poll(c, Cursor(), 9)).rows]
    finally:
        database.close()


@pytest.mark.parametrize("name", ["a.b", "quoted", "table"])
def test_a_table_with_a_dot_in_its_name_can_be_named(database_url: str, name: str) -> None:
    quoted = QUOTED[sql.dialect_of(database_url)]
    sql.execute(database_url, f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY)")
    sql.execute(database_url, f"INSERT INTO {quoted} VALUES (7)")
    own = sa.Table("a.b", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    source = {"a.b": "a.b", "quoted": '"a.b"', "table": own}[name]
    if name == "a.b":  # table b of the schema a
        with pytest.raises(TableError, match=r"there is no table a\.b"):
            ids_of(database_url, source)
    else:
        assert source_name(source) == "a.b"
        assert ids_of(database_url, source) == [7]


def test_a_table_with_a_dot_in_its_name_is_found_in_a_schema_with_one(postgresql_url: str) -> None:
    sql.execute(postgresql_url, 'CREATE SCHEMA "x.y"')
    sql.execute(postgresql_url, 'CREATE TABLE "x.y"."a.b" (id int PRIMARY KEY)')
    sql.execute(postgresql_url, 'INSERT INTO "x.y"."a.b" VALUES (7)')
    assert ids_of(postgresql_url, '"x.y"."a.b"') == [7]
    sql.execute(postgresql_url, 'CREATE TABLE "x.y".plain (id int PRIMARY KEY)')
    assert ids_of(postgresql_url, '"x.y".plain') == []


@pytest.mark.parametrize("kind", ["integer", "bigint"])
def test_a_key_of_a_domain_over_an_integer_is_an_integer_key(
    postgresql_url: str, kind: str
) -> None:
    sql.execute(postgresql_url, f"CREATE DOMAIN number AS {kind} CHECK (VALUE BETWEEN 1 AND 1000)")
    sql.execute(postgresql_url, "CREATE DOMAIN order_number AS number")
    sql.execute(postgresql_url, "CREATE TABLE orders (id order_number PRIMARY KEY, body text)")
    sql.execute(postgresql_url, "INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (5, 'c'), (6, 'd')")
    database, table = Database(postgresql_url), Table("orders")
    database.read(table.describe)

    def polled(cursor: Cursor) -> list[int]:
        return [one.id for one in database.read(lambda c: table.poll(c, cursor, 9)).rows]

    # Bounds that the domain would refuse are no values of it.
    assert polled(Cursor.at(0)) == [1, 2, 5, 6]
    assert polled(Cursor.at(5, [(2, 3)])) == [2, 6]
    assert polled(Cursor.at(10**12)) == []
    assert database.read(lambda c: table.start_below(c, 2)) == 2
    assert database.read(lambda c: table.gaps_below(c, 10**6)) == ([(3, 4)], 0)
    found = database.read(lambda c: table.page(c, [(2, 10**12)], 9))
    assert [one.id for one in found.rows] == [2, 5, 6]
    database.close()


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_a_foreign_key_to_a_table_that_may_not_be_read_is_none_of_its_business(
    dialect: str, request: pytest.FixtureRequest
) -> None:
    database_url = request.getfixturevalue(f"{dialect}_url")
    sql.execute(database_url, "CREATE TABLE secrets (id INT PRIMARY KEY)")
    sql.execute(
        database_url,
        "CREATE TABLE orders (id INT PRIMARY KEY, secret INT, "
        "FOREIGN KEY (secret) REFERENCES secrets (id))",
    )
    sql.execute(database_url, "INSERT INTO orders VALUES (7, NULL)")
    sql.execute(database_url, "CREATE USER clerk")
    try:
        sql.execute(database_url, "GRANT SELECT ON orders TO clerk")
        as_clerk = database_url.replace("root@", "clerk@").replace("rowcast@", "clerk@")
        assert ids_of(as_clerk, "orders") == [7]
        with pytest.raises(TableError):
            ids_of(as_clerk, "secrets")
    finally:
        sql.execute(database_url, "DROP TABLE orders")
        sql.execute(database_url, "DROP USER clerk")


@pytest.mark.parametrize("dialect", ["sqlite", "mariadb"])
def test_a_foreign_key_to_a_table_that_is_not_there_is_none_of_its_business(
    dialect: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{dialect}_url")
    with sql.Transaction(url) as writer:
        if dialect == "mariadb":
            writer.execute("SET foreign_key_checks = 0")
        writer.execute(
            "CREATE TABLE orders (id INT PRIMARY KEY, secret INT, "
            "FOREIGN KEY (secret) REFERENCES secrets (id))"
        )
        writer.execute("INSERT INTO orders VALUES (7, NULL)")
        writer.commit()
    assert ids_of(url, "orders") == [7]


def test_an_enum_may_grow_while_it_is_streamed(postgresql_url: str) -> None:
    sql.execute(postgresql_url, "CREATE TYPE mood AS ENUM ('happy')")
    sql.execute(postgresql_url, "CREATE TABLE notes (id serial PRIMARY KEY, mood mood)")
    sql.execute(postgresql_url, "INSERT INTO notes (mood) VALUES ('happy')")
    database, table = Database(postgresql_url), Table("notes")
    database.read(table.describe)
    database.read(lambda c: table.poll(c, Cursor(), 9))
    sql.execute(postgresql_url, "ALTER TYPE mood ADD VALUE 'sad'")
    sql.execute(postgresql_url, "INSERT INTO notes (mood) VALUES ('sad')")
    (found,) = database.read(lambda c: table.poll(c, Cursor.at(1), 9)).rows
    assert row.body(found) == (b'data: {"id":2,"mood":"sad"}\n', None)
    database.close()
