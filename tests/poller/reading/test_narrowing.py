"""SQL narrows and Python decides, on each database: what is found is what a model finds."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import pytest

from poller.delivery.view import View, key_of
from poller.reading.database import Database
from poller.reading.table import Table
from poller.wire.exact import Exact
from tests.harness import sql
from tests.harness.sql import KEY_TYPES

TYPES = {
    "sqlite": {
        "name": "TEXT COLLATE NOCASE",
        "code": "CHAR(6)",
        "flag": "BOOLEAN",
        "token": "CHAR(36)",
        "mood": "TEXT",
    },
    "postgresql": {
        "name": "VARCHAR(20)",
        "code": "CHAR(6)",
        "flag": "BOOLEAN",
        "token": "UUID",
        "mood": "mood",
    },
    "mariadb": {
        "name": "VARCHAR(20) COLLATE utf8mb4_general_ci",
        "code": "CHAR(6)",
        "flag": "TINYINT",
        "token": "UUID",
        "mood": "ENUM('sad', 'glad')",
    },
}
FILTERS = ["number", "name", "code", "flag", "token", "mood"]
ONE, TWO = "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
NUMBERS = ["7", "0", "-1", "NULL", "70"]
NAMES = ["'ann'", "'Ann'", "'ann '", "'änn'", "' ann'", "''", "'7'", "'a''n'", "NULL"]
CODES = ["'ann'", "'ann '", "'ANN'", "NULL"]
FLAGS = {"mariadb": ["1", "0", "NULL"], "sqlite": ["1", "0", "NULL", "2"]}
TOKENS = [f"'{ONE}'", f"'{TWO}'", "NULL"]
MOODS = ["'sad'", "'glad'", "NULL"]
LIMIT = 1000


@pytest.fixture
def table(database_url: str) -> Iterator[tuple[Database, Table]]:
    """Rows with every value of each column."""
    dialect = sql.dialect_of(database_url)
    types = {"number": "INTEGER", **TYPES[dialect]}
    if dialect == "postgresql":
        sql.execute(database_url, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    sql.execute(database_url, f"CREATE TABLE notes (id {KEY_TYPES[dialect]}, {columns})")
    flags = FLAGS.get(dialect, ["true", "false", "NULL"])
    most = max(map(len, (NUMBERS, NAMES, CODES, flags, TOKENS, MOODS)))
    rows = [
        tuple(values[at % len(values)] for values in (NUMBERS, NAMES, CODES, flags, TOKENS, MOODS))
        for at in range(3 * most)
    ]
    listed = ", ".join(f"({', '.join(row)})" for row in rows)
    sql.execute(database_url, f"INSERT INTO notes ({', '.join(FILTERS)}) VALUES {listed}")
    database = Database(database_url)
    table = Table("notes", columns=["id"], filters=FILTERS)
    database.read(table.describe)
    yield database, table
    database.close()


def found(
    table: tuple[Database, Table], narrowed: Mapping[str, Sequence[Exact]], *ranges: tuple[int, int]
) -> list[tuple[int, tuple[Exact, ...]]]:
    database, of = table
    asked = ranges or ((1, LIMIT),)
    rows = database.read(lambda c: of.page(c, asked, LIMIT, narrowed)).rows
    return [(one.id, one.values) for one in rows]


def picked(
    rows: Sequence[tuple[int, tuple[Exact, ...]]], view: View
) -> list[tuple[int, tuple[Exact, ...]]]:
    key, keys = key_of(FILTERS, view.columns), {*view.keys}
    return [(row_id, values) for row_id, values in rows if key(values) in keys]


def test_every_value_finds_its_rows_and_no_others(table: tuple[Database, Table]) -> None:
    every = found(table, {})
    for at, name in enumerate(FILTERS):
        values = {row[at] for _, row in every}
        asked: list[list[Exact]] = [[one] for one in values if not _is_none_of_the_type(one)]
        asked += [[None, one] for (one,) in asked if one is not None]
        for some in asked:
            view = View.of({name: some})
            expected = [(row_id, row) for row_id, row in every if row[at] in some]
            assert picked(found(table, view.filter), view) == expected != []


def _is_none_of_the_type(value: Exact) -> bool:
    return isinstance(value, tuple) and value[0] != "boolean"


def test_the_database_may_find_more_but_never_less(table: tuple[Database, Table]) -> None:
    every = found(table, {})
    wider = 0
    for name, other in itertools.combinations(FILTERS, 2):
        places = FILTERS.index(name), FILTERS.index(other)
        for values in {(row[places[0]], row[places[1]]) for _, row in every}:
            if any(_is_none_of_the_type(value) for value in values):
                continue
            view = View.of({name: [values[0]], other: [values[1]]})
            narrowed = found(table, view.filter)
            assert picked(narrowed, view) == picked(every, view) != []
            wider += len(narrowed) > len(picked(every, view))
    if table[0].dialect in ("mysql", "mariadb"):
        assert wider  # letters, accents and blanks: why Python decides


def test_ranges_and_filters_narrow_together(table: tuple[Database, Table]) -> None:
    """In each way in which ranges are said, and again with other values."""
    every = found(table, {})
    many = tuple((low, low) for low in range(1, LIMIT, 2))
    for ranges in (((1, 9),), ((2, 3), (6, 12)), ((1, 40), (100, 400)), many):
        ids = {row_id for row_id, _ in every if any(low <= row_id <= high for low, high in ranges)}
        for values in ([7], [0, -1], [None], [70, None], [12345]):
            view = View.of({"number": values})
            expected = [one for one in picked(every, view) if one[0] in ids]
            assert picked(found(table, view.filter, *ranges), view) == expected


def test_what_no_row_has_is_no_error(table: tuple[Database, Table]) -> None:
    for name, value in (
        ("number", 2**62),
        ("name", "x" * 1000),
        ("name", "😀'\\%_;--"),
        ("code", "😀"),
        ("code", "much longer than the column"),
        ("token", "00000000-0000-4000-8000-000000000000"),
    ):
        view = View.of({name: [value]})
        assert picked(found(table, view.filter), view) == []
