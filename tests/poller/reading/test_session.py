"""A session is told what reading needs: no setting of a role or a server changes a value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from poller.ids.cursor import Cursor
from poller.reading.database import Database
from poller.reading.table import Table
from tests.harness import sql
from tests.harness.pgbouncer import PgBouncer

Pooled = Callable[[str], str]


def rows(url: str, table: str = "notes") -> list[dict[str, Any] | None]:
    """The table's rows as a poll reads them, and as a page does."""
    database = Database(url)
    notes = Table(table)
    try:
        database.read(notes.describe)
        polled = database.read(lambda c: notes.poll(c, Cursor(), 100)).rows
        assert database.read(lambda c: notes.page(c, [(1, 100)], 100)).rows == polled
    finally:
        database.close()
    return [row.columns for row in polled]


def asked(url: str, query: str) -> Any:
    database = Database(url)
    try:
        return database.read(lambda c: c.exec_driver_sql(query).scalar_one())
    finally:
        database.close()


@pytest.fixture(params=["direct", "session", "transaction"])
def way(request: pytest.FixtureRequest, start_pgbouncer: Callable[..., PgBouncer]) -> Pooled:
    """way(url): the same database, directly or through a pooler."""
    if request.param == "direct":
        return lambda url: url
    return start_pgbouncer(request.param).url


# -- PostgreSQL -----------------------------------------------------------------------------------

NOTES = """
CREATE TABLE notes (id bigserial PRIMARY KEY, body text, day date, at timestamp, zoned timestamptz,
  took interval, ratio float8, small real, raw bytea)
"""
NOTE = """
INSERT INTO notes (body, day, at, zoned, took, ratio, small, raw) VALUES ('Grüße ☃', '2026-11-03',
  '2026-11-03 04:05:06.7', '2026-11-03 04:05:06+02', '1 day 02:03:04', 0.1::float8 + 0.2::float8,
  1.1, '\\x00ff5c')
"""
SETTINGS = {
    "datestyle": ("German", "SQL", "Postgres"),
    "intervalstyle": ("iso_8601", "sql_standard", "postgres_verbose"),
    "timezone": ("Asia/Kathmandu",),
    "bytea_output": ("escape",),
    "extra_float_digits": ("-5", "0"),
    "client_encoding": ("LATIN1",),
    "default_transaction_isolation": ("serializable",),
    "standard_conforming_strings": ("off",),
}


@pytest.fixture
def notes(postgresql_url: str) -> str:
    return with_a_note(postgresql_url)


@pytest.fixture(scope="module")
def shared_notes(shared_postgresql_url: str) -> str:
    return with_a_note(shared_postgresql_url)


def with_a_note(url: str) -> str:
    sql.execute(url, NOTES)
    sql.execute(url, NOTE)
    return url


@contextmanager
def database_says(url: str, name: str, value: str) -> Iterator[None]:
    """A setting of the database, for sessions that begin inside."""
    database = f"ALTER DATABASE {urlsplit(url).path[1:]}"
    sql.execute(url, f"{database} SET {name} TO '{value}'")
    try:
        yield
    finally:
        sql.execute(url, f"{database} RESET {name}")


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in SETTINGS for value in SETTINGS[name]]
)
def test_no_setting_of_the_database_changes_a_value(
    shared_notes: str, way: Pooled, name: str, value: str
) -> None:
    before = rows(shared_notes)
    with database_says(shared_notes, name, value):
        assert rows(way(shared_notes)) == before
    assert before[0] is not None
    assert before[0]["ratio"] == 0.1 + 0.2


def test_reads_do_not_make_writers_fail(shared_notes: str, way: Pooled) -> None:
    with database_says(shared_notes, "default_transaction_isolation", "serializable"):
        assert asked(way(shared_notes), "SHOW transaction_isolation") == "read committed"


def test_a_database_without_an_encoding_is_read(postgresql_url: str, way: Pooled) -> None:
    name = f"{urlsplit(postgresql_url).path[1:]}_ascii"
    sql_ascii = urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()
    with sql_autocommit(postgresql_url) as execute:
        execute(f"CREATE DATABASE {name} ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'")
    try:
        sql.execute(sql_ascii, NOTES)
        sql.execute(f"{sql_ascii}?client_encoding=utf8", NOTE)
        (row,) = rows(way(sql_ascii))
        assert row is not None
        assert row["body"] == "Grüße ☃"
    finally:
        with sql_autocommit(postgresql_url) as execute:
            execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def sql_autocommit(url: str) -> Iterator[Callable[[str], object]]:
    with sql.connect(url) as connection:
        connection.autocommit = True
        yield connection.execute


def test_a_query_that_was_given_up_does_not_stay_on_the_server(notes: str, way: Pooled) -> None:
    database = Database(way(notes), query_timeout_s=2.0)
    shown = database.read(lambda c: c.exec_driver_sql("SHOW statement_timeout").scalar_one())
    assert shown == "3s"
    database.close()


def test_no_prepared_statement_is_left_to_meet_another_connection(notes: str, way: Pooled) -> None:
    database = Database(way(notes))
    table = Table("notes")
    database.read(table.describe)
    for _ in range(20):
        database.read(lambda c: table.poll(c, Cursor(), 100))
    prepared = "SELECT count(*) FROM pg_prepared_statements"
    assert database.read(lambda c: c.exec_driver_sql(prepared).scalar_one()) == 0
    database.close()


def test_a_column_s_type_may_change_again_and_again_while_it_is_read(
    notes: str, way: Pooled
) -> None:
    database = Database(way(notes))
    table = Table("notes", columns=["body"])
    database.read(table.describe)
    for kind in ("varchar(90)", "text", "varchar(80)", "text"):
        sql.execute(notes, f"ALTER TABLE notes ALTER body TYPE {kind}")
        for _ in range(8):  # more often than psycopg waits before it prepares
            (row,) = database.read(lambda c: table.poll(c, Cursor(), 100)).rows
            assert row.columns == {"body": "Grüße ☃"}
    database.close()


def test_nothing_of_ours_is_left_to_a_pooler_s_other_clients(
    notes: str, start_pgbouncer: Callable[..., PgBouncer]
) -> None:
    pooler = start_pgbouncer("transaction", size=1)
    assert rows(pooler.url(notes))
    ((timeout,),) = sql.execute(pooler.url(notes), "SHOW statement_timeout")
    ((level,),) = sql.execute(pooler.url(notes), "SHOW intervalstyle")
    assert (timeout, level) == ("0", "postgres")


@pytest.mark.parametrize("how", ["-csearch_path%3Dshop", "-c%20search_path%3Dshop,public"])
def test_the_search_path_of_the_url_is_used(postgresql_url: str, way: Pooled, how: str) -> None:
    sql.execute(postgresql_url, "CREATE SCHEMA shop")
    sql.execute(postgresql_url, "CREATE TABLE shop.notes (id serial PRIMARY KEY, body text)")
    sql.execute(postgresql_url, "INSERT INTO shop.notes (body) VALUES ('the shop''s')")
    sql.execute(postgresql_url, "CREATE TABLE notes (id serial PRIMARY KEY, body text)")
    assert rows(f"{way(postgresql_url)}?options={how}") == [{"id": 1, "body": "the shop's"}]


@pytest.mark.parametrize(
    ("query", "shown", "value"),
    [
        ("application_name=till", "application_name", "till"),
        ("options=-cstatement_timeout%3D7s", "statement_timeout", "7s"),
        (f"options={quote('-c timezone=Europe/Berlin')}", "timezone", "Europe/Berlin"),
        (f"options={quote('-c work_mem=5MB -c jit=off')}", "work_mem", "5MB"),
        ("", "application_name", "rowcast"),
    ],
)
def test_other_options_of_the_url_are_used(
    shared_postgresql_url: str, way: Pooled, query: str, shown: str, value: str
) -> None:
    assert asked(f"{way(shared_postgresql_url)}?{query}", f"SHOW {shown}") == value


def test_a_write_through_a_pooler_is_one_transaction(notes: str, way: Pooled) -> None:
    database = Database(way(notes))

    def twice(connection: Any) -> None:
        for body in ("a", "b"):
            connection.exec_driver_sql("INSERT INTO notes (body) VALUES (%s)", (body,))
        connection.exec_driver_sql("SELECT 1 / (2 - count(*)) FROM notes")  # there are three

    def fails(connection: Any) -> None:
        connection.exec_driver_sql("INSERT INTO notes (body) VALUES ('c')")
        raise ZeroDivisionError

    database.write(twice)
    with pytest.raises(ZeroDivisionError):
        database.write(fails)
    database.close()
    assert sql.execute(notes, "SELECT count(*) FROM notes") == [(3,)]


# -- MariaDB --------------------------------------------------------------------------------------

VARIABLES = {
    "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "time_zone": "'+05:45'",
    "tx_isolation": "'READ-UNCOMMITTED'",
    "sql_select_limit": "1",
    "sql_quote_show_create": "0",
    "init_connect": "'SET NAMES latin1, time_zone = \\'+09:00\\', sql_mode = \\'ORACLE\\''",
}


@contextmanager
def server_says(url: str, name: str, value: str) -> Iterator[str]:
    """A setting of the whole server; the URL of a user to whom `init_connect` applies."""
    ((before,),) = sql.execute(url, f"SELECT @@GLOBAL.{name}")
    parts = urlsplit(url)
    sql.execute(url, "CREATE USER plain@'%'")
    sql.execute(url, f"GRANT ALL ON {parts.path[1:]}.* TO plain@'%'")
    sql.execute(url, f"SET GLOBAL {name} = {value}")
    try:
        yield parts._replace(netloc=f"plain@{parts.hostname}:{parts.port}").geturl()
    finally:
        sql.execute(url, f"SET GLOBAL {name} = %s", [before])
        sql.execute(url, "DROP USER plain@'%'")


@pytest.mark.parametrize(("name", "value"), VARIABLES.items())
def test_no_setting_of_mariadb_changes_a_value(mariadb_url: str, name: str, value: str) -> None:
    sql.execute(
        mariadb_url,
        "CREATE TABLE notes (id bigint AUTO_INCREMENT PRIMARY KEY, body varchar(50), code char(9),"
        " at timestamp) CHARACTER SET utf8mb4",
    )
    insert = "INSERT INTO notes (body, code, at) VALUES (%s, 'x', '2026-11-03 04:05:06')"
    for body in ("Grüße \u2603 \U0001f600", "back\\slash"):
        sql.execute(mariadb_url, insert, [body])
    before = rows(mariadb_url)
    with sql.Transaction(mariadb_url) as open_one:
        open_one.execute("INSERT INTO notes (body) VALUES ('not committed')")
        with server_says(mariadb_url, name, value) as url:
            assert rows(url) == before
    assert [row and row["body"] for row in before] == ["Grüße \u2603 \U0001f600", "back\\slash"]


def test_init_command_of_the_url_comes_last(mariadb_url: str) -> None:
    command = quote("SET @mine = 7, time_zone = '+02:00'")
    url = f"{mariadb_url}?init_command={command}"
    assert asked(url, "SELECT CONCAT(@mine, ' ', @@session.time_zone)") == "7 +02:00"
    assert asked(url, "SELECT @@session.lock_wait_timeout") == 11


def test_sql_mode_of_the_url_is_used(mariadb_url: str) -> None:
    assert asked(f"{mariadb_url}?sql_mode=ANSI_QUOTES", "SELECT @@sql_mode") == "ANSI_QUOTES"


def test_mariadb_gives_up_after_us(mariadb_url: str) -> None:
    database = Database(mariadb_url, query_timeout_s=2.0)
    query = "SELECT CONCAT(@@lock_wait_timeout, ' ', @@max_statement_time)"
    assert database.read(lambda c: c.exec_driver_sql(query).scalar_one()) == "3 3.000000"
    database.close()
