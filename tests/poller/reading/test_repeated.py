"""A question that comes again and again goes to the driver as text, and is answered the same."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from poller.ids.cursor import Cursor
from poller.reading.database import Database
from poller.reading.repeated import Repeated
from poller.reading.table import Table
from tests.harness import sql

LIMIT = 500
COLUMNS = {
    "postgresql": "amount NUMERIC(20, 5), at TIMESTAMPTZ, said JSONB, raw BYTEA, note TEXT",
    "mariadb": "amount DECIMAL(20, 5), at DATETIME(6), said JSON, raw BLOB, note TEXT",
    "sqlite": "amount NUMERIC(20, 5), at DATETIME, said JSON, raw BLOB, note TEXT",
}
ROW = "(amount, at, said, raw, note) VALUES (12345678.00001, '2026-11-26 11:02:07', %s, %s, %s)"
NOTE = "100 % of \\ and 'quotes' :colon %(named)s ?"


class Counted:
    """What the server is asked, by SQLAlchemy or past it."""

    def __init__(self, database: Database) -> None:
        self.by_sqlalchemy = 0
        sa.event.listen(database._engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self.by_sqlalchemy += 1


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    kind = sql.dialect_of(database_url)
    key = sql.KEY_TYPES[kind]
    sql.execute(database_url, f"CREATE TABLE things (id {key}, {COLUMNS[kind]})")
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def table(database: Database) -> Table:
    table = Table("things")
    database.read(table.describe)
    return table


def insert(url: str) -> None:
    sql.execute(url, f"INSERT INTO things {ROW}", ('{"a": [1, null]}', b"\x00\xff", NOTE))


def poll(database: Database, table: Table, after: int) -> Any:
    return database.read(lambda c: table.poll(c, Cursor.at(after), LIMIT), polling=True)


def test_a_row_that_ends_the_repetition_is_read_as_any_other(
    database: Database, table: Table, database_url: str
) -> None:
    quiet = [poll(database, table, 0) for _ in range(4)]
    assert {(one.history, one.counter, one.given) for one in quiet} == {
        (quiet[0].history, quiet[0].counter, quiet[0].given)
    }
    assert not any(one.rows for one in quiet)
    insert(database_url)
    found = poll(database, table, 0)
    again = Table("things")
    database.read(again.describe)
    by_sqlalchemy = poll(database, again, 0)
    assert found.rows == by_sqlalchemy.rows
    assert [(row.id, row.columns["note"]) for row in found.rows] == [(1, NOTE)]
    assert (found.history, found.counter) == (by_sqlalchemy.history, by_sqlalchemy.counter)
    assert [type(value) for value in found.rows[0].columns.values()] == [
        type(value) for value in by_sqlalchemy.rows[0].columns.values()
    ]


def test_only_the_third_of_the_same_questions_goes_past_sqlalchemy(
    database: Database, table: Table, database_url: str
) -> None:
    if database.is_sqlite:
        pytest.skip("there a poll asks only after something was written")
    poll(database, table, 0)
    counted = Counted(database)

    def asked(after: int) -> int:
        before = counted.by_sqlalchemy
        poll(database, table, after)
        return counted.by_sqlalchemy - before

    database.dispose()  # a connection from now on tells
    insert(database_url)
    assert [asked(1) for _ in range(4)] == [1, 1, 0, 0]
    assert [asked(2) for _ in range(4)] == [1, 1, 0, 0]


def test_other_bounds_are_another_question(
    database: Database, table: Table, database_url: str
) -> None:
    for _ in range(4):
        assert poll(database, table, 3).rows == []
    for _ in range(2):
        insert(database_url)
    assert [row.id for row in poll(database, table, 0).rows] == [1, 2]
    assert [row.id for row in poll(database, table, 1).rows] == [2]
    assert poll(database, table, 3).rows == []


def test_an_error_is_sqlalchemys_and_the_next_answer_is_right(
    database: Database, table: Table, database_url: str
) -> None:
    for _ in range(4):
        poll(database, table, 0)
    sql.execute(database_url, "ALTER TABLE things RENAME TO others")
    with pytest.raises(DBAPIError):
        poll(database, table, 0)
    sql.execute(database_url, "ALTER TABLE others RENAME TO things")
    insert(database_url)
    assert [row.id for row in poll(database, table, 0).rows] == [1]


def test_of_two_at_once_each_gets_the_answer_to_its_own(database: Database) -> None:
    """As if a second question came while the first one waits for the server."""
    repeated = Repeated()
    one, two = (sa.select(sa.bindparam("n", type_=sa.Integer).label(name)) for name in "ab")

    def ask(connection: Connection) -> list[Any]:
        first, second = {"n": 1}, {"n": 2}
        repeated.answer(connection, one, first)

        waits = [True]

        def meanwhile(*_: object) -> None:
            if waits and waits.pop():
                repeated.answer(connection, two, second)

        sa.event.listen(connection, "before_cursor_execute", meanwhile)
        answers = [repeated.answer(connection, one, first)]
        assert not waits
        return [*answers, *(repeated.answer(connection, two, second) for _ in range(3))]

    answers = database.read(ask)
    assert [int(answer[0][0]) for answer in answers] == [1, 2, 2, 2]
