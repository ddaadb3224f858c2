"""Rows that are read by themselves: unreadable ones, of which the rest is sent, and large ones."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from poller.ids.cursor import Cursor
from poller.ids.ranges import MAX_ID
from poller.reading import retrieval
from poller.reading.database import Database
from poller.reading.retrieval import NOT_READ, Retrieval
from poller.reading.table import Table
from poller.reading.values import INLINE_BYTES
from poller.runtime.settings import MAX_VALUE_BYTES
from poller.wire.row import Row, is_cut_off
from tests.harness import sql
from tests.harness.sql import KEY_TYPES

KIB = 1024


class Strict(TypeDecorator[str]):
    """A type of an application's own, which takes offence."""

    impl = sa.Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: object) -> str | None:
        if value == "offence":
            raise ValueError(value)
        return value


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    long_text = "LONGTEXT" if database.dialect == "mysql" else "TEXT"
    columns = f"id {KEY_TYPES[database.dialect]}, title VARCHAR(99), body {long_text}"
    sql.execute(database_url, f"CREATE TABLE notes ({columns})")
    yield database
    database.close()


@pytest.fixture
def lite(sqlite_url: str) -> Iterator[Database]:
    """A table with a text in its second row that is not UTF-8."""
    sql.execute(sqlite_url, f"CREATE TABLE notes (id {KEY_TYPES['sqlite']}, title TEXT, body TEXT)")
    values = "('1', 'a'), ('2', CAST(x'ff41' AS TEXT)), ('3', 'c'), ('4', 'd')"
    sql.execute(sqlite_url, f"INSERT INTO notes (title, body) VALUES {values}")
    database = Database(sqlite_url)
    yield database
    database.close()


def insert(database: Database, *bodies: str) -> None:
    url = database.url.render_as_string(hide_password=False)
    for body in bodies:
        sql.execute(url, "INSERT INTO notes (title, body) VALUES ('t', %s)", [body])


def described(database: Database, source: object = "notes", **options: Any) -> Table:
    table = Table(source, **options)
    database.read(table.describe)
    return table


def polled(database: Database, table: Table, after: int = 0, limit: int = 100) -> list[Row]:
    return database.read(lambda c: table.poll(c, Cursor.at(after), limit)).rows


def paged(database: Database, table: Table, limit: int = 100) -> list[Row]:
    return database.read(lambda c: table.page(c, [(1, MAX_ID)], limit)).rows


# -- unreadable --------------------------------------------------------------------------------


def test_only_the_value_that_cannot_be_read_is_withheld(lite: Database) -> None:
    table = described(lite)
    for rows in (polled(lite, table), paged(lite, table)):
        assert [row.columns for row in rows] == [
            {"id": 1, "title": "1", "body": "a"},
            {"id": 2, "title": "2", "body": None},
            {"id": 3, "title": "3", "body": "c"},
            {"id": 4, "title": "4", "body": "d"},
        ]
        assert [row.withheld for row in rows] == [{}, {"body": NOT_READ}, {}, {}]


def test_a_value_that_an_application_s_own_type_refuses_is_withheld(database: Database) -> None:
    insert(database, "good", "offence", "good")
    own = sa.Table(
        "notes",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text),
        sa.Column("body", Strict),
    )
    rows = polled(database, described(database, own))
    assert [row.withheld for row in rows] == [{}, {"body": NOT_READ}, {}]
    assert rows[1].columns == {"id": 2, "title": "t", "body": None}


def test_an_application_may_call_text_what_is_another_type(postgresql_url: str) -> None:
    sql.execute(
        postgresql_url,
        f"CREATE TABLE notes (id {KEY_TYPES['postgresql']}, doc json, code uuid, body bytea)",
    )
    sql.execute(
        postgresql_url,
        "INSERT INTO notes (doc, code, body) VALUES "
        r"('[1]', '00000000-0000-0000-0000-000000000007', '\x00ff')",
    )
    key = sa.Column("id", sa.Integer, primary_key=True)
    others = [sa.Column(name, sa.String(99)) for name in ("doc", "code", "body")]
    database = Database(postgresql_url)
    (row,) = polled(database, described(database, sa.Table("notes", sa.MetaData(), key, *others)))
    assert row.columns is not None
    assert (row.columns["doc"], row.columns["body"]) == ([1], b"\x00\xff")
    database.close()


def test_a_date_that_python_has_not_is_withheld_from_a_table_with_types_of_its_own(
    postgresql_url: str,
) -> None:
    sql.execute(postgresql_url, f"CREATE TABLE notes (id {KEY_TYPES['postgresql']}, at date)")
    sql.execute(postgresql_url, "INSERT INTO notes (at) VALUES ('2026-11-22'), ('infinity')")
    key = sa.Column("id", sa.Integer, primary_key=True)
    own = sa.Table("notes", sa.MetaData(), key, sa.Column("at", sa.Date))
    database = Database(postgresql_url)
    rows = polled(database, described(database, own))
    assert [row.withheld for row in rows] == [{}, {"at": NOT_READ}]
    database.close()


def test_a_row_deleted_while_rows_are_read_apart_cuts_no_page_short(
    lite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page shorter than its limit says that nothing follows it."""
    table = described(lite)
    read = Retrieval._read

    def read_after_a_delete(self: Retrieval, *arguments: Any) -> Any:
        self._connection.exec_driver_sql("DELETE FROM notes WHERE id = 3")
        return read(self, *arguments)

    monkeypatch.setattr(Retrieval, "_read", read_after_a_delete)
    rows = paged(lite, table, limit=3)
    assert [row.id for row in rows] == [1, 2, 3]
    assert [row.columns is None for row in rows] == [False, False, True]


def test_a_row_whose_values_cannot_be_read_together_is_unreadable(
    lite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = described(lite)
    read = Retrieval._read

    def never_several(self: Retrieval, ids: Any, values: Any, *unread: Any) -> Any:
        return None if len(values) > 1 else read(self, ids, values, *unread)

    monkeypatch.setattr(Retrieval, "_read", never_several)
    (row,) = polled(lite, table, after=3) or paged(lite, table, limit=1)
    assert row.columns == {"id": 4, "title": "4", "body": "d"}  # it was no reason to read it apart
    rows = polled(lite, table)
    assert {row.problem for row in rows} == {"the database driver could not read this row"}


# -- large -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [INLINE_BYTES, INLINE_BYTES + 1, MAX_VALUE_BYTES])
def test_a_value_up_to_the_bound_is_sent_whole(database: Database, size: int) -> None:
    insert(database, "small", "x" * size, "small")
    table = described(database)
    for rows in (polled(database, table), paged(database, table)):
        assert [len((row.columns or {})["body"]) for row in rows] == [5, size, 5]
        assert [row.withheld for row in rows] == [{}, {}, {}]


def test_a_larger_value_is_withheld_with_its_size_in_bytes(database: Database) -> None:
    insert(database, "é" * 1000, "é" * 1025, "x" * 2048)
    table = described(database, max_value_bytes=2 * KIB)
    for rows in (polled(database, table), paged(database, table)):
        assert [row.withheld for row in rows] == [
            {},
            {"body": "2050 bytes, more than ROWCAST_MAX_VALUE=2048"},
            {},
        ]
        assert rows[1].columns == {"id": 2, "title": "t", "body": None}


def test_large_rows_in_gaps_are_read_as_well(database: Database) -> None:
    insert(database, *("x" * (INLINE_BYTES + n) for n in range(6)))
    table = described(database)
    cursor = Cursor.at(5, [(2, 2), (4, 4)])
    rows = database.read(lambda c: table.poll(c, cursor, 100)).rows
    assert [(row.id, len((row.columns or {})["body"]) - INLINE_BYTES) for row in rows] == [
        (2, 1),
        (4, 3),
        (6, 5),
    ]


def test_a_batch_ends_when_its_bytes_are_full_and_the_rest_follows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "BATCH_BYTES", 100 * KIB)
    insert(database, *["x" * 40 * KIB] * 8, *["small"] * 20)
    table = described(database)
    sizes, last = [], 0
    while last < 28:
        rows = polled(database, table, after=last, limit=100)
        sizes.append(len(rows))
        assert [row.id for row in rows] == list(range(last + 1, last + 1 + len(rows)))
        last = rows[-1].id
        assert is_cut_off(rows, 100) or last == 28
    assert sizes[:2] == [3, 3]
    assert max(sizes) > 3  # it takes more again where they are small
    assert [row.id for row in paged(database, table)] == [1, 2, 3]


def test_a_row_is_sent_however_large_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "BATCH_BYTES", KIB)
    insert(database, *["x" * 40 * KIB] * 3)
    table = described(database)
    assert [[row.id for row in polled(database, table, after=n)] for n in range(4)] == [
        [1],
        [2],
        [3],
        [],
    ]


def test_a_poll_does_not_bring_what_it_withholds(database: Database) -> None:
    """Nor the whole of a batch that does not fit: it is the database that compares the size."""
    insert(database, *["x" * 2**20] * 3)
    table = described(database)
    brought: list[int] = []

    def noted(connection: sa.Connection) -> None:
        columns = table._last_look().description.columns
        for selected in (columns.at_once, columns.whole(columns.values)):
            found = connection.execute(sa.select(*selected)).all()
            brought.extend(len(value) for row in found for value in row if isinstance(value, str))

    database.read(noted)
    assert max(brought) == 1


def test_any_column_of_sqlite_may_hold_a_large_value(sqlite_url: str) -> None:
    sql.execute(
        sqlite_url, f"CREATE TABLE notes (id {KEY_TYPES['sqlite']}, n INTEGER, b VARCHAR(3))"
    )
    sql.execute(sqlite_url, "INSERT INTO notes VALUES (1, zeroblob(9000), zeroblob(300000))")
    database = Database(sqlite_url)
    (row,) = polled(database, described(database))
    assert len((row.columns or {})["n"]) == 9000
    assert list(row.withheld) == ["b"]
    database.close()


@pytest.mark.parametrize(
    "kind", ["jsonb", "json", "int[]", "bytea", "varchar", "numeric", "bit varying"]
)
def test_postgresql_types_of_any_size_are_bounded(postgresql_url: str, kind: str) -> None:
    sql.execute(postgresql_url, f"CREATE TABLE notes (id {KEY_TYPES['postgresql']}, value {kind})")
    values = {
        "jsonb": "jsonb_agg(n)",
        "json": "json_agg(n)",
        "int[]": "array_agg(n)",
        "bytea": r"string_agg('\x00', ''::bytea)",
        "varchar": "repeat('x', 5000)",
        "numeric": "repeat('9', 5000)::numeric",
        "bit varying": "repeat('1', 5000)::varbit",
    }
    of_many = "FROM generate_series(1, 5000) n" if "agg(" in values[kind] else ""
    made = f"INSERT INTO notes (value) SELECT {values[kind]} {of_many}"
    sql.execute(postgresql_url, made)
    database = Database(postgresql_url)
    (row,) = polled(database, described(database, max_value_bytes=4 * KIB))
    assert list(row.withheld) == ["value"]
    (row,) = polled(database, described(database))
    assert row.withheld == {}
    database.close()
