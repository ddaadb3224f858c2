"""What a client may ask of a feed, and how it is told what it may not."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from poller.asking import view_of
from poller.delivery.view import ALL, View
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.table import Table

COLUMNS = ["id", "room", "text"]


@pytest.fixture
def table(sqlite_url: str) -> Iterator[Table]:
    database = Database(sqlite_url)
    columns = "id INTEGER PRIMARY KEY AUTOINCREMENT, room INTEGER, owner TEXT, text TEXT"
    database.write(lambda c: c.execute(sa.text(f"CREATE TABLE notes ({columns})")))
    table = Table("notes", columns=COLUMNS, filters=["room", "owner"])
    database.read(table.describe)
    yield table
    database.close()


def test_texts_of_a_query_and_values_of_an_application_make_the_same_view(table: Table) -> None:
    assert view_of(table, {"room": ["7", "8"]}, None) == View.of({"room": [7, 8]})
    assert view_of(table, {"room": [8, 7]}, None) == View.of({"room": [7, 8]})
    assert view_of(table, {"owner": ["7", None]}, None) == View.of({"owner": ["7", None]})


def test_the_key_is_always_shown(table: Table) -> None:
    assert view_of(table, {}, ["text"]) == View.of({}, ["id", "text"])
    assert view_of(table, {}, []) == View.of({}, ["id"])


def test_all_columns_by_name_are_all_columns(table: Table) -> None:
    assert view_of(table, {}, ["text", "id", "room"]) is not None
    assert view_of(table, {}, ["text", "room"]) == ALL


@pytest.mark.parametrize(
    ("asked", "shown", "told"),
    [
        ({"text": ["x"]}, None, "text is no filter of this feed"),
        ({"nothing": ["x"]}, None, "nothing is no filter of this feed"),
        ({"room": ["07"]}, None, "room: '07' is not an integer, as in 7"),
        ({"room": []}, None, "room: there is no value"),
        ({}, ["owner"], "owner is no column of this feed"),
        ({}, ["secret"], "secret is no column of this feed"),
    ],
)
def test_what_cannot_be_asked_is_told_in_words(
    table: Table, asked: dict[str, list[str]], shown: list[str] | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        view_of(table, asked, shown)


def test_before_the_first_look_nobody_knows_the_types() -> None:
    table = Table("notes", columns=COLUMNS, filters=["room"])
    assert view_of(table, {}, None) == ALL
    with pytest.raises(TableError, match="has not been looked at yet"):
        view_of(table, {"room": ["7"]}, None)
