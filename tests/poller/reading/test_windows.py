"""What a feed by window looks at, on each database."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import sqlalchemy as sa

from poller.reading.database import Database
from poller.reading.description import TableError
from poller.reading.windows import volatile
from poller.reading.windows.query import Asked
from poller.reading.windows.source import WindowSource
from poller.runtime.settings import Settings

ROWS = 8
TABLES = {
    "sqlite": "id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, body TEXT, sort INTEGER NOT NULL",
    "postgresql": "id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT, sort INTEGER NOT NULL",
    "mariadb": "id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, body MEDIUMTEXT, "
    "sort INTEGER NOT NULL",
}
NOTES = sa.table("notes", *map(sa.column, ("id", "name", "body", "sort")))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    kind = {"mysql": "mariadb"}.get(database.dialect, database.dialect)
    run(database, f"CREATE TABLE notes ({TABLES[kind]})")
    for number in range(1, 6):
        run(database, f"INSERT INTO notes VALUES ({number}, 'n{number}', 'b{number}', {number})")
    yield database
    database.close()


def run(database: Database, *statements: str) -> None:
    for statement in statements:
        database.write(lambda c, text=statement: c.exec_driver_sql(text))  # type: ignore[misc]


def source(database: Database, of: object = "notes", **asked: Any) -> WindowSource:
    given = {"name": "notes", "key": None, "columns": None, "order_by": "sort", **asked}
    options = {name: given.pop(name) for name in ("rows",) if name in given}
    settings = Settings(**given.pop("settings", {}))
    return WindowSource(Asked(of, size=4, **given), database, settings, options.get("rows", ROWS))


def ids(of: WindowSource) -> list[Any]:
    look = of.look()
    assert look is not None
    return [look.shape.row(raw).key["id"] for raw in look.rows]


def test_the_newest_rows_come_first_and_no_more_than_asked_for(database: Database) -> None:
    assert ids(source(database, rows=3)) == [5, 4, 3]
    assert ids(source(database, order_by="sort asc", rows=3)) == [1, 2, 3]


def test_ties_are_broken_by_the_key(database: Database) -> None:
    run(database, "UPDATE notes SET sort = 1")
    assert ids(source(database)) == [5, 4, 3, 2, 1]
    assert ids(source(database, order_by="sort asc")) == [1, 2, 3, 4, 5]


def test_the_key_goes_with_the_columns_that_were_chosen(database: Database) -> None:
    look = source(database, columns=["body"]).look()
    assert look is not None
    assert look.shape.row(look.rows[0]).columns == {"id": 5, "body": "b5"}


def test_rows_may_be_told_apart_by_several_columns(database: Database) -> None:
    look = source(database, key=("name", "sort"), columns=["body"]).look()
    assert look is not None
    assert look.shape.row(look.rows[0]).key == {"name": "n5", "sort": 5}
    assert look.shape.key_of(look.rows[0]) == ("n5", 5)


def test_an_order_says_where_nulls_come(database: Database) -> None:
    run(database, "UPDATE notes SET body = NULL WHERE id = 3")
    cases: list[tuple[object, list[int]]] = [
        ("body nulls last", [5, 4]),
        ("body asc nulls last", [1, 2]),
        (sa.nulls_last(sa.desc("body")), [5, 4]),
        ("body nulls first", [3, 5]),
        ([sa.desc("sort"), "name"], [5, 4]),
        (NOTES.c.sort.asc(), [1, 2]),
    ]
    for order_by, newest in cases:
        assert ids(source(database, order_by=order_by))[:2] == newest, order_by


def test_what_cannot_be_followed_is_refused_in_words(database: Database) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"order_by": None}, "say which rows are the newest"),
        ({"order_by": "srot"}, "did you mean sort"),
        ({"order_by": "sort; DROP"}, "cannot be read"),
        ({"order_by": 7}, "neither a column nor an expression"),
        ({"order_by": "body"}, "notes.body may be NULL"),
        ({"key": ("nam",)}, "has no column nam"),
        ({"columns": ["bdy"]}, "did you mean body"),
    ]
    for asked, told in cases:
        with pytest.raises(TableError, match=told):
            source(database, **asked).look()


def test_a_table_without_a_primary_key_needs_a_key(database: Database) -> None:
    run(database, "CREATE TABLE bare (a INTEGER NOT NULL)")
    with pytest.raises(TableError, match="has no primary key"):
        source(database, "bare", order_by="a").look()


# -- views and selects ----------------------------------------------------------------------------


def test_a_view_is_looked_at_by_any_key(database: Database) -> None:
    run(
        database, "CREATE VIEW seen AS SELECT n.id, m.name FROM notes n JOIN notes m ON n.id = m.id"
    )
    assert ids(source(database, "seen", key=("id",), order_by="id")) == [5, 4, 3, 2, 1]


def test_a_null_in_the_order_of_a_view_is_found_by_the_look(database: Database) -> None:
    run(
        database,
        "CREATE VIEW seen AS SELECT id, body FROM notes",
        "UPDATE notes SET body = NULL WHERE id = 3",
    )
    with pytest.raises(TableError, match="say nulls last"):
        source(database, "seen", key=("id",), order_by="body").look()
    assert len(ids(source(database, "seen", key=("id",), order_by="body nulls last"))) == 5


def select() -> sa.Select[Any]:
    return sa.select(NOTES.c.id, (NOTES.c.sort * 2).label("twice")).where(NOTES.c.id > 2)


def test_a_select_has_the_order_that_it_says(database: Database) -> None:
    cases: list[tuple[Any, str | None, list[int]]] = [
        (select().order_by(NOTES.c.sort.desc()), None, [5, 4, 3]),
        (select().order_by(NOTES.c.name), None, [3, 4, 5]),
        (select().order_by(sa.desc("twice")), None, [5, 4, 3]),
        (select().order_by(sa.func.abs(NOTES.c.sort).desc()), None, [5, 4, 3]),
        (select(), "twice", [5, 4, 3]),
        (select().order_by(NOTES.c.name), "twice", [5, 4, 3]),
        (sa.union_all(select(), select().where(NOTES.c.id < 0)).order_by("twice"), None, [3, 4, 5]),
    ]
    for query, order_by, expected in cases:
        found = ids(source(database, query, key=("id",), order_by=order_by))
        assert found == expected, f"{query} by {order_by}"


def test_what_a_select_is_ordered_by_is_not_sent(database: Database) -> None:
    look = source(database, select().order_by(NOTES.c.name), key=("id",), order_by=None).look()
    assert look is not None
    assert look.shape.row(look.rows[0]).columns == {"id": 3, "twice": 6}


def test_a_select_that_cannot_be_followed_is_refused_in_words(database: Database) -> None:
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (select(), {}, "no ORDER BY"),
        (select().order_by(NOTES.c.sort).limit(3), {}, "window= is the limit"),
        (select().order_by(NOTES.c.sort), {"key": None}, "has no key of its own"),
        (select().distinct().order_by(NOTES.c.name), {}, "by what it selects only"),
    ]
    for query, asked, told in cases:
        with pytest.raises(TableError, match=told):
            source(database, query, **{"key": ("id",), "order_by": None, **asked}).look()


RANDOM = {"sqlite": "random()", "postgresql": "random()", "mysql": "rand()", "mariadb": "rand()"}


def test_columns_that_differ_at_each_look_are_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = "CURRENT_TIMESTAMP"
    if database.dialect == "sqlite":  # so that nobody has to wait for its clock of seconds
        monkeypatch.setattr(volatile, "LONGER_THAN_A_SECOND_S", 0.005)
        now = "strftime('%f', 'now')"
    rolled = RANDOM[database.dialect]
    run(database, f"CREATE VIEW rolled AS SELECT id, sort, {rolled} AS dice, {now} AS t FROM notes")
    looked = source(database, "rolled", key=("id",))
    with pytest.raises(TableError, match="dice, t differ at each look"):
        look_until(looked, lambda: bool(looked._volatile and looked._volatile.settled))


def test_a_view_that_differs_since_it_was_written_to_is_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volatile, "LONGER_THAN_A_SECOND_S", 0.0)
    run(database, "CREATE VIEW seen AS SELECT id, sort, body FROM notes")
    looked = source(database, "seen", key=("id",))
    looked.look()
    run(database, "UPDATE notes SET body = 'another'")
    look_until(looked, lambda: bool(looked._volatile and looked._volatile.settled))


def look_until(looked: WindowSource, done: Callable[[], bool]) -> None:
    for _ in range(volatile.TRIES):
        looked.look()
        if done():
            return
        gevent.sleep(0.001)
    raise AssertionError("it was never settled")


# -- rows that one statement cannot bring ----------------------------------------------------------


def test_large_values_are_read_by_themselves_and_too_large_ones_withheld(
    database: Database,
) -> None:
    run(
        database,
        f"UPDATE notes SET body = '{'x' * 9000}' WHERE id = 4",
        f"UPDATE notes SET body = '{'x' * 20000}' WHERE id = 2",
    )
    look = source(database, settings={"max_value_bytes": 10_000}).look()
    assert look is not None
    assert sorted(look.apart) == [1, 3]
    assert len((look.apart[1].columns or {})["body"]) == 9000
    assert "20000 bytes" in look.apart[3].withheld["body"]
    assert look.apart[3].key == {"id": 2}


def test_a_window_with_too_many_bytes_is_refused_in_words(database: Database) -> None:
    run(database, f"UPDATE notes SET body = '{'x' * 9000}'")
    with pytest.raises(TableError, match="ROWCAST_LOG_BYTES"):
        source(database, settings={"log_capacity_bytes": 20_000}).look()


def test_what_the_driver_cannot_read_is_withheld_and_the_other_rows_are_there(
    sqlite_url: str,
) -> None:
    database = Database(sqlite_url)
    run(
        database,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)",
        "INSERT INTO notes VALUES (1, 'one'), (2, CAST(x'ff41' AS TEXT)), (3, 'three')",
    )
    look = source(database, order_by="id").look()
    assert look is not None
    found = [look.apart[at] for at in range(3)]
    assert [one.key["id"] for one in found] == [3, 2, 1]
    assert [(one.columns or {})["body"] for one in found] == ["three", None, "one"]
    assert [*found[1].withheld] == ["body"]
    database.close()


# -- the gate, and a table that becomes another ---------------------------------------------------


def test_where_nothing_was_written_sqlite_is_not_read(sqlite_url: str) -> None:
    database, other = Database(sqlite_url), Database(sqlite_url)
    run(database, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
    looked = source(database, order_by="id")
    assert looked.look() is not None
    assert looked.look() is None
    for by in (database, other):  # its own connection, and another
        run(by, "INSERT INTO notes (body) VALUES ('x')")
        assert looked.look() is not None
        assert looked.look() is None
    other.close()
    database.close()


def test_postgresql_tells_that_no_row_of_the_window_was_written(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    run(
        database,
        f"CREATE TABLE notes ({TABLES['postgresql']})",
        "INSERT INTO notes SELECT n, 'n', 'b', n FROM generate_series(1, 20) n",
    )
    looked = source(database)
    assert ids(looked) == [20, 19, 18, 17, 16, 15, 14, 13]
    assert looked.look() is None
    for statement in (
        "UPDATE notes SET body = 'another' WHERE id = 19",
        "DELETE FROM notes WHERE id = 20",  # the row that slides in was written with it
        "INSERT INTO notes VALUES (21, 'n', 'b', 21)",
        "UPDATE notes SET sort = 30 WHERE id = 1",
        "ALTER TABLE notes ALTER body SET NOT NULL",
        "TRUNCATE notes",
    ):
        run(database, statement)
        assert looked.look() is not None, statement
        assert looked.look() is None, statement
    database.close()


def test_a_row_that_was_there_for_a_moment_does_not_stay(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the versions were asked for, and is gone before the next look asks."""
    database = Database(postgresql_url)
    run(
        database,
        f"CREATE TABLE notes ({TABLES['postgresql']})",
        "INSERT INTO notes VALUES (1, 'n', 'b', 1)",
    )
    looked, read = source(database), WindowSource._read

    def after_it_came(self: WindowSource, *given: Any) -> Any:
        run(database, "INSERT INTO notes VALUES (2, 'n', 'b', 2)")
        return read(self, *given)

    monkeypatch.setattr(WindowSource, "_read", after_it_came)
    assert ids(looked) == [2, 1]
    monkeypatch.undo()
    run(database, "DELETE FROM notes WHERE id = 2")
    assert ids(looked) == [1]
    database.close()


def test_another_file_in_its_place_is_looked_at(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    for one, body in ((database, "old"), (other, "new")):
        run(one, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
        run(one, f"INSERT INTO notes VALUES (1, '{body}')")
    looked = source(database, order_by="id")
    assert looked.look() is not None
    other.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    (tmp_path / "other.db").rename(path)
    look = looked.look()
    assert look is not None
    assert look.rows[0][1] == "new"
    database.close()


def test_a_table_that_became_another_is_described_again(database: Database) -> None:
    looked = source(database)
    looked.look()
    run(database, "ALTER TABLE notes DROP COLUMN body")
    with pytest.raises(Exception, match="body"):
        looked.look()
    look = looked.look()
    assert look is not None
    found = look.shape.row(look.rows[0])
    assert found.columns == {"id": 5, "name": "n5", "sort": 5, "body": None}
    assert [*found.withheld] == ["body"]
