"""Indexes for filters, and the SQL that makes one."""

from poller.doctor import NOT_WATCHED, WHOLE, diagnose
from poller.reading.database import Database
from poller.reading.filter_index import slow_filters
from poller.reading.table import Table
from poller.runtime.settings import Settings
from tests.harness import sql
from tests.harness.sql import KEY_TYPES

NAMES = ["room", "owner"]


def told(url: str) -> list[str]:
    database = Database(url)
    table = Table("notes", columns=["id"], filters=NAMES)
    database.read(table.describe)
    found = database.read(lambda connection: slow_filters(connection, table.description))
    database.close()
    return found


def make(url: str, *indexes: str) -> None:
    key = KEY_TYPES[sql.dialect_of(url)]
    sql.execute(url, f"CREATE TABLE notes (id {key}, room INTEGER, owner VARCHAR(20))")
    for at, index in enumerate(indexes):
        sql.execute(url, f"CREATE INDEX notes_{at} ON notes ({index})")


def test_what_the_doctor_says_mends_it(database_url: str) -> None:
    make(database_url, "owner, room")
    found = told(database_url)
    assert [name in text for name, text in zip(NAMES, found, strict=True)] == [True, True]
    for text in found:
        assert text.startswith("slow: no index leads to the rows of a filter on ")
        sql.execute(database_url, text[text.index("CREATE INDEX") :].rstrip(";"))
    assert told(database_url) == []


def test_an_index_behind_whose_columns_the_key_stands_anyway_is_enough(
    database_url: str,
) -> None:
    make(database_url, "room", "owner, id, room")
    of_postgresql = sql.dialect_of(database_url) == "postgresql"
    assert len(told(database_url)) == (1 if of_postgresql else 0)


def test_a_filter_without_an_index_takes_nothing_from_the_promise(sqlite_url: str) -> None:
    make(sqlite_url)
    report = diagnose(sqlite_url, "notes", Settings(), filters=["room"])
    assert report.status == WHOLE
    assert any("CREATE INDEX notes_room_id ON notes (room, id);" in line for line in report.lines())


def test_a_filter_that_cannot_be_one_is_said(sqlite_url: str) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, at DATE)")
    report = diagnose(sqlite_url, "notes", Settings(), filters=["at"])
    assert report.status == NOT_WATCHED
    assert "notes.at cannot be a filter" in report.problem
