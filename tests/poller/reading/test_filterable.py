"""Columns by which streams may be filtered, on each database."""

import enum
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from poller.ids.cursor import Cursor
from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.filterable import LONGEST_TEXT, Filterable, filterable
from poller.reading.table import Table
from poller.wire import row
from poller.wire.exact import FALSE, NO_VALUE, TRUE, Exact
from tests.harness import sql
from tests.harness.sql import KEY_TYPES

UUID_TEXT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
TYPES = {
    "sqlite": {"flag": "BOOLEAN", "letters": "CHAR(5)"},
    "postgresql": {"flag": "BOOLEAN", "letters": "CHAR(5)", "token": "UUID", "mood": "mood"},
    "mariadb": {"letters": "CHAR(5)", "token": "UUID", "mood": "ENUM('sad', 'glad')"},
}
VALUES = {
    "number": ("7", 7),
    "name": ("'ann '", "ann "),
    "flag": ("true", TRUE),
    "letters": ("'ann '", "ann"),
    "token": (f"'{UUID_TEXT.upper()}'", UUID_TEXT),
    "mood": ("'glad'", "glad"),
}


class Mood(enum.Enum):
    SAD = "sad"
    GLAD = "glad"


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    flag: Mapped[bool]
    mood: Mapped[Mood]
    token: Mapped[UUID]


def column(kind: TypeEngine[Any], dialect: str = "postgresql") -> Filterable:
    found = filterable(sa.Column("c", kind), dialect)
    assert found is not None
    return found


# -- what is asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (sa.Integer(), "7", 7),
        (sa.Integer(), "0", 0),
        (sa.BigInteger(), "-9223372036854775807", -(2**63) + 1),
        (sa.Integer(), 7, 7),
        (sa.String(), "7", "7"),
        (sa.String(), "ann ", "ann "),
        (sa.CHAR(5), "ann ", "ann"),
        (sa.Boolean(), "true", TRUE),
        (sa.Boolean(), False, FALSE),
        (sa.Uuid(), UUID_TEXT, UUID_TEXT),
        (sa.Uuid(), UUID(UUID_TEXT), UUID_TEXT),
        (sa.Enum("sad", "glad"), "glad", "glad"),
        (sa.Enum(Mood), "glad", "glad"),
        (sa.Enum(Mood), Mood.GLAD, "glad"),
        (sa.Integer(), None, None),
        (sa.String(), None, None),
    ],
)
def test_what_is_written_as_the_values_are(
    kind: TypeEngine[Any], given: object, value: Exact
) -> None:
    assert column(kind).asked(given) == value
    assert type(column(kind).asked(given)) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *((sa.Integer(), text) for text in ("07", "7.0", " 7", "7 ", "+7", "-0", "7e0", "", "٧")),
        *((sa.Integer(), value) for value in (True, 7.0, b"7", "9223372036854775808", 2**63)),
        *((sa.Boolean(), given) for given in ("TRUE", "1", "t", "", 1, 0, 1.0)),
        *((sa.String(), given) for given in (7, True, b"ann", "\0", "\ud800", "x" * 1001)),
        *((sa.Uuid(), text) for text in (UUID_TEXT.upper(), UUID_TEXT.replace("-", ""), "", 7)),
        (sa.Uuid(), f"{{{UUID_TEXT}}}"),
        *((sa.Enum("sad", "glad"), given) for given in ("GLAD", "glad ", "", 1, True, 1.0)),
        *((sa.Enum(Mood), given) for given in ("GLAD", "Mood.GLAD", 2)),
    ],
)
def test_what_is_not_is_refused_in_words(kind: TypeEngine[Any], given: object) -> None:
    with pytest.raises(ValueError, match=r"^c: .* (is|is not|is neither) .*"):
        column(kind).asked(given)


def test_long_texts_are_refused_without_being_told_whole() -> None:
    with pytest.raises(ValueError, match="too long") as told:
        column(sa.String()).asked("x" * (LONGEST_TEXT + 1))
    assert len(str(told.value)) < 150


# -- what a row has -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        (sa.Integer(), 7, 7),
        (sa.Integer(), "7", NO_VALUE),  # SQLite keeps in any column what it was given
        (sa.Integer(), 7.0, NO_VALUE),
        (sa.Integer(), True, NO_VALUE),
        (sa.String(), 7, NO_VALUE),
        (sa.String(), b"ann", NO_VALUE),
        (sa.Boolean(), 1, TRUE),
        (sa.Boolean(), 2, NO_VALUE),
        (sa.Boolean(), "true", NO_VALUE),
        (sa.Uuid(), UUID_TEXT.upper(), UUID_TEXT),
        (sa.Uuid(), "none", NO_VALUE),
        (sa.Enum("sad", "glad"), "other", "other"),
        (sa.Enum("sad", "glad"), 1.5, NO_VALUE),
        (sa.Enum(Mood), Mood.SAD, "sad"),
        (sa.Integer(), None, None),
    ],
)
def test_values_are_compared_by_type(kind: TypeEngine[Any], found: object, value: Exact) -> None:
    assert column(kind).held(found) == value
    assert type(column(kind).held(found)) is type(value)


def test_blanks_that_a_database_adds_or_takes_are_no_difference() -> None:
    for dialect in ("postgresql", "mariadb", "mysql"):
        assert column(sa.CHAR(5), dialect).held("ann  ") == "ann"
        assert column(sa.String(5), dialect).held("ann  ") == "ann  "
    assert column(sa.CHAR(5), "sqlite").held("ann  ") == "ann  "


def test_each_type_is_read_and_asked_for_alike(database_url: str) -> None:
    url, dialect = database_url, sql.dialect_of(database_url)
    types = {"number": "INTEGER", "name": "VARCHAR(20)", **TYPES[dialect]}
    if dialect == "postgresql":
        sql.execute(url, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    listed = ", ".join(f"{name} {kind}" for name, kind in types.items())
    sql.execute(url, f"CREATE TABLE notes (id {KEY_TYPES[dialect]}, {listed})")
    values = ", ".join(VALUES[name][0] for name in types)
    sql.execute(url, f"INSERT INTO notes ({', '.join(types)}) VALUES ({values})")
    sql.execute(url, "INSERT INTO notes (id) VALUES (2)")
    database = Database(url)
    table = Table("notes", columns=["id"], filters=[*types])
    database.read(table.describe)
    first, second = database.read(lambda c: table.poll(c, Cursor(), 10)).rows
    database.close()
    expected = {name: VALUES[name][1] for name in types}
    if dialect == "sqlite":
        expected["letters"] = "ann "
    assert dict(zip(types, first.values, strict=True)) == expected
    assert second.values == (None,) * len(types)
    assert row.body(first)[0] == b'data: {"id":1}\n'  # a filter's value does not go out
    for one in table.description.columns.filters:
        given = VALUES[one.name][1]
        assert one.asked("true" if given == TRUE else str(given).strip()) is not None


def test_an_applications_own_types_are_compared_by_what_its_rows_show(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.write(Base.metadata.create_all)
    note = {"flag": True, "mood": Mood.GLAD, "token": UUID(UUID_TEXT)}
    database.write(lambda c: c.execute(sa.insert(Note).values(note)))
    table = Table(Note, filters=["flag", "mood", "token"])
    database.read(table.describe)
    (only,) = database.read(lambda c: table.poll(c, Cursor(), 10)).rows
    database.close()
    assert only.values == (TRUE, "glad", UUID_TEXT)


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["REAL", "DECIMAL(5, 2)", "DATE", "DATETIME", "JSON", "BLOB", "", "STRING"]
)
def test_types_that_sql_and_python_compare_differently_are_refused(
    sqlite_url: str, kind: str
) -> None:
    database = Database(sqlite_url)
    definition = f"id INTEGER PRIMARY KEY AUTOINCREMENT, c {kind}"
    database.write(lambda c: c.execute(sa.text(f"CREATE TABLE notes ({definition})")))
    table = Table("notes", filters=["c"])
    with pytest.raises(TableError, match=r"notes\.c cannot be a filter: its type is .+; integer"):
        database.read(table.describe)
    database.close()


def test_types_of_other_databases_are_refused_too() -> None:
    kinds = sa.Float(), sa.Numeric(), sa.LargeBinary(), sa.JSON(), sa.Interval(), sa.ARRAY(sa.Text)
    assert not any(filterable(sa.Column("c", kind), "postgresql") for kind in kinds)
    assert filterable(sa.Column("c", sa.dialects.mysql.SET("a")), "mysql") is None


def test_a_type_that_an_application_converts_is_refused() -> None:
    class Secret(sa.TypeDecorator[str]):
        impl = sa.String
        cache_ok = True

    assert filterable(sa.Column("c", Secret()), "sqlite") is None


def test_a_filter_that_is_no_column_is_told(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.write(lambda c: c.execute(sa.text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    with pytest.raises(TableError, match="notes has no column room"):
        database.read(Table("notes", filters=["room"]).describe)
    database.close()
