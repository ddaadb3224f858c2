"""Every type of each database: what the database shows is what arrives."""

import json
import subprocess
from pathlib import Path

import pytest

from poller.ids.cursor import Cursor
from poller.reading.database import Database
from poller.reading.table import Table
from poller.wire import row
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.harness.sql import KEY_TYPES
from tests.poller.reading import value_cases, values_page
from tests.poller.reading.value_cases import Case

PAGE = Path(__file__).parents[3] / "docs" / "values.md"


def cases(database: str) -> pytest.MarkDecorator:
    all_cases = value_cases.DATABASES[database]
    return pytest.mark.parametrize("case", all_cases, ids=[case.type for case in all_cases])


def fill(url: str, case: Case) -> None:
    dialect = sql.dialect_of(url)
    with sql.Transaction(url) as writer:
        for statement in case.setup:
            writer.execute(statement)
        writer.execute(
            f"CREATE TABLE held (id {KEY_TYPES[dialect]}, value {case.column or case.type})"
        )
        if dialect == "mariadb":
            writer.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        for value in case.values:
            if value == "DEFAULT":
                writer.execute("INSERT INTO held (id) VALUES (1)")
            else:
                writer.execute(f"INSERT INTO held (value) VALUES ({value})")
        writer.commit()


def received(url: str) -> list[object]:
    """What a reader of the stream finds, from a poll and from a page, which must agree."""
    database = Database(url)
    table = Table("held")
    database.read(table.describe)
    polled = database.read(lambda connection: table.poll(connection, Cursor(), 100)).rows
    paged = database.read(lambda connection: table.page(connection, [(1, 99)], 100)).rows
    database.close()
    assert polled == paged or "nan" in str(polled)
    frames = [row.body(one) for one in polled]
    assert [problem for _, problem in frames if problem] == []
    assert all(frame.count(b"\n") == frames[0][0].count(b"\n") for frame, _ in frames)
    return [json.loads(frame.removeprefix(b"data: "))["value"] for frame, _ in frames]


def shown_by_psql(server: Postgres, url: str) -> list[str]:
    command = [str(server.psql), "-XAt0", "-d", url, "-c", "SELECT value FROM held ORDER BY id"]
    environment = {"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}
    run = subprocess.run(command, capture_output=True, check=True, env=environment)
    return run.stdout.decode().split("\0")[:-1]


def shown_by_mariadb(server: MariaDB, url: str) -> list[str]:
    connect = ["--no-defaults", "--default-character-set=utf8mb4", "-h127.0.0.1", "-uroot"]
    options = [*connect, f"-P{server.port}", "--skip-column-names", "--raw", "--batch"]
    query = "SELECT CONCAT(value, CHAR(10), 'end of value') FROM held ORDER BY id"
    command = [str(server.client), *options, url.rsplit("/", 1)[1], "-e", query]
    run = subprocess.run(command, capture_output=True, check=True)
    return run.stdout.decode().split("\nend of value\n")[:-1]


def assert_arrives(case: Case, arrived: list[object]) -> None:
    # As text, so that 1, 1.0 and true differ, and 0.0 from -0.0.
    assert json.dumps(arrived) == json.dumps(list(case.values.values()))


@pytest.fixture
def empty_schema(shared_postgresql_url: str) -> str:
    """A database without any table or type of the case before."""
    sql.execute(shared_postgresql_url, "DROP SCHEMA public CASCADE")
    sql.execute(shared_postgresql_url, "CREATE SCHEMA public")
    return shared_postgresql_url


@cases("postgresql")
def test_postgresql_values_arrive(case: Case, empty_schema: str, postgres_server: Postgres) -> None:
    fill(empty_schema, case)
    arrived = received(empty_schema)
    assert_arrives(case, arrived)
    if case.is_shown:
        assert arrived == shown_by_psql(postgres_server, empty_schema)


@cases("mariadb")
def test_mariadb_values_arrive(case: Case, mariadb_url: str, mariadb_server: MariaDB) -> None:
    fill(mariadb_url, case)
    arrived = received(mariadb_url)
    assert_arrives(case, arrived)
    if case.is_shown:
        assert arrived == shown_by_mariadb(mariadb_server, mariadb_url)


@cases("sqlite")
def test_sqlite_values_arrive(case: Case, sqlite_url: str) -> None:
    fill(sqlite_url, case)
    assert_arrives(case, received(sqlite_url))


def test_the_page_of_values_lists_what_is_tested() -> None:
    assert PAGE.read_text() == values_page.page()
