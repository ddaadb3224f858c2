"""`rowcast prune`: what goes, what stays, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from click.testing import Result

from poller import Database
from poller.commands import prune
from poller.polling.identity import ROWS_COMPARED
from poller.reading.ages import OlderThan
from poller.reading.pruning import NEWEST_KEPT, pruning
from tests.harness import sql

Run = Callable[..., Result]
DAY_S = 86_400
AGO = {
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%S', 'now', '-' || %s || ' days')",
    "postgresql": "now() - make_interval(days => %s::int)",
    "mariadb": "UTC_TIMESTAMP(6) - INTERVAL %s DAY",
}
TIME = {"sqlite": "TIMESTAMP", "postgresql": "timestamptz", "mariadb": "DATETIME(6)"}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "pause", lambda _: None)


def make(url: str, ages: list[int], more: str = "") -> None:
    """A table of orders, each so many days old."""
    dialect = sql.dialect_of(url)
    key = sql.KEY_TYPES[dialect]
    columns = f"id {key}, created_at {TIME[dialect]} NOT NULL, customer VARCHAR(20){more}"
    sql.execute(url, f"CREATE TABLE orders ({columns})")
    ago = AGO[dialect] if dialect != "sqlite" else AGO[dialect].replace("%%", "%")
    with sql.connect(url) as connection:
        cursor = connection.cursor()
        statement = f"INSERT INTO orders (created_at, customer) VALUES ({ago}, 'Ada')"
        for age in ages:
            mark = statement.replace("%s", "?") if dialect == "sqlite" else statement
            cursor.execute(mark, (age,))
        cursor.close()


def ids(url: str) -> list[int]:
    return [int(row[0]) for row in sql.execute(url, "SELECT id FROM orders ORDER BY id")]


def test_old_rows_go_and_young_ones_stay(database_url: str, rowcast: Run) -> None:
    make(database_url, [100] * 20 + [80] * 9)
    ended = rowcast("prune", database_url, "orders", "--keep", "90d", "--batch", 7, "--yes")
    assert ended.exit_code == 0, ended.output
    assert "rows with created_at before 20" in ended.stdout
    assert "20 of 29 rows are old" in ended.stdout
    assert ended.stdout.endswith("20 rows deleted\n")
    assert ids(database_url) == [*range(21, 30)]


def test_nothing_goes_without_a_word(sqlite_url: str, rowcast: Run) -> None:
    make(sqlite_url, [100] * 20)
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "90d")
    assert (ended.exit_code, len(ids(sqlite_url))) == (0, 20)
    assert ended.stdout.endswith("nothing was deleted: say --yes to do it\n")


@pytest.mark.parametrize(("answer", "left"), [("y", 8), ("n", 20), ("", 20)])
def test_who_can_be_asked_is_asked(
    answer: str, left: int, sqlite_url: str, rowcast: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "can_ask", lambda: True)
    make(sqlite_url, [100] * 20)
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "90d", input=f"{answer}\n")
    assert "Delete 12 rows? [y/N]" in ended.stdout
    assert len(ids(sqlite_url)) == left


def test_the_newest_rows_stay_however_old_they_are(sqlite_url: str, rowcast: Run) -> None:
    assert NEWEST_KEPT == ROWS_COMPARED
    make(sqlite_url, [100] * 20)
    rowcast("prune", sqlite_url, "orders", "--keep", "90d", "--yes")
    assert ids(sqlite_url) == [*range(13, 21)]


def test_the_newest_by_a_number_of_changes_stay_too(database_url: str, rowcast: Run) -> None:
    make(database_url, [100] * 20, ", version INTEGER UNIQUE")
    sql.execute(database_url, "UPDATE orders SET version = 100 - id")
    rowcast("prune", database_url, "orders", "--keep", "90d", "--yes")
    assert ids(database_url) == [*range(1, 9), *range(13, 21)]


def test_rows_by_their_number(sqlite_url: str, rowcast: Run) -> None:
    make(sqlite_url, [0] * 30)
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "10rows", "--yes")
    assert "all rows but the newest 10\n" in ended.stdout
    assert ids(sqlite_url) == [*range(21, 31)]
    assert "0 of 10 rows" in rowcast("prune", sqlite_url, "orders", "--keep", "10rows").stdout


def test_a_mark_instead(database_url: str, rowcast: Run) -> None:
    kind = TIME[sql.dialect_of(database_url)]
    make(database_url, [100] * 20, f", deleted_at {kind} NULL, gone INTEGER NOT NULL DEFAULT 0")
    for mark, unmarked in (("deleted_at", "deleted_at IS NULL"), ("gone", "gone = 0")):
        said = rowcast(
            "prune", database_url, "orders", "--keep", "90d", "--by", "created_at", "--mark", mark,
            "--yes",
        )  # fmt: skip
        assert "12 rows marked" in said.stdout, said.output
        left = sql.execute(database_url, f"SELECT id FROM orders WHERE {unmarked} ORDER BY id")
        assert [int(one) for (one,) in left] == [*range(13, 21)]
    again = rowcast(
        "prune", database_url, "orders", "--keep", "90d", "--by", "created_at", "--mark", "gone"
    )
    assert "0 of 20 rows are old" in again.stdout


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02 03:04:05",
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T03:04:05+02:00",
        1_767_323_045,
        1_767_323_045_678,
        2_461_042.5,
    ],
)
def test_times_of_sqlite_in_all_its_forms(value: object, sqlite_url: str, rowcast: Run) -> None:
    sql.execute(sqlite_url, "CREATE TABLE orders (id INTEGER PRIMARY KEY, at)")
    for _ in range(10):
        sql.execute(sqlite_url, "INSERT INTO orders (at) VALUES (%s)", [value])
    sql.execute(sqlite_url, "INSERT INTO orders (at) VALUES ('never'), (NULL), (datetime('now'))")
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "30d", "--by", "at", "--yes")
    assert "5 of 13 rows are old" in ended.stdout  # and five more of the newest eight
    assert ids(sqlite_url) == [*range(6, 14)]


@pytest.mark.parametrize("unit", [1, 1000])
def test_unix_times_elsewhere(unit: int, postgresql_url: str, rowcast: Run) -> None:
    sql.execute(postgresql_url, "CREATE TABLE orders (id int PRIMARY KEY, at bigint)")
    at = f"(extract(epoch FROM now())::bigint - i * {DAY_S} - 3600) * {unit}"
    sql.execute(
        postgresql_url, f"INSERT INTO orders SELECT 30 - i, {at} FROM generate_series(1, 29) i"
    )
    rowcast("prune", postgresql_url, "orders", "--keep", "10d", "--by", "at", "--yes")
    assert ids(postgresql_url) == [*range(21, 30)]


def test_a_key_of_any_type_will_do(postgresql_url: str, rowcast: Run) -> None:
    sql.execute(
        postgresql_url,
        "CREATE TABLE orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), made date NOT NULL)",
    )
    for day in ("2001-02-03", "2999-02-03"):
        made = f"SELECT date '{day}' FROM generate_series(1, 20)"
        sql.execute(postgresql_url, f"INSERT INTO orders (made) {made}")
    ended = rowcast("prune", postgresql_url, "orders", "--keep", "20d", "--batch", 3, "--yes")
    assert "20 rows deleted" in ended.stdout
    assert len({made for (made,) in sql.execute(postgresql_url, "SELECT made FROM orders")}) == 1


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        ("nothing", [], "there is no table nothing"),
        ("orders", ["--by", "nothing"], "orders has no column nothing"),
        ("several", [], "several has several times (a, b): name one with --by"),
        ("none", [], "none has no column of a time: name what says it with --by"),
        ("pairs", [], "pairs has no primary key of one column"),
        ("texts", ["--keep", "9rows"], "texts.id is no number"),
        ("orders", ["--keep", "soon"], "--keep 'soon': say 90d"),
        ("orders", ["--keep", "999999999w"], "longer than any table is old"),
        ("orders", ["--keep", "9rows", "--by", "created_at"], "--by is for a time"),
        ("orders", ["--mark", "nothing"], "orders has no column nothing"),
        ("orders", ["--mark", "customer"], "can mark a row as deleted"),
    ],
)
def test_what_cannot_be_pruned(
    table: str, options: list[str], words: str, sqlite_url: str, rowcast: Run
) -> None:
    make(sqlite_url, [])
    for statement in (
        "CREATE TABLE several (id INTEGER PRIMARY KEY, a TIMESTAMP, b TIMESTAMP)",
        "CREATE TABLE none (id INTEGER PRIMARY KEY)",
        "CREATE TABLE pairs (a INTEGER, b INTEGER, at TIMESTAMP, PRIMARY KEY (a, b))",
        "CREATE TABLE texts (id TEXT PRIMARY KEY, at TIMESTAMP)",
    ):
        sql.execute(sqlite_url, statement)
    given = options if "--keep" in options else ["--keep", "90d", *options]
    ended = rowcast("prune", sqlite_url, table, *given)
    assert ended.exit_code == 2, ended.output
    assert words in ended.stderr


def test_a_column_that_is_no_time_is_refused_where_types_are_kept(
    postgresql_url: str, rowcast: Run
) -> None:
    make(postgresql_url, [])
    ended = rowcast("prune", postgresql_url, "orders", "--keep", "1d", "--by", "customer")
    assert "orders.customer is VARCHAR(20), and no time" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_done_when_a_signal_came_stays_done(
    number: int, sqlite_url: str, rowcast: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(sqlite_url, [100] * 40)
    handler = signal.getsignal(number)
    pauses = iter(range(1, 9))
    monkeypatch.setattr(
        prune, "pause", lambda _: signal.raise_signal(number) if next(pauses) == 2 else None
    )
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "90d", "--batch", 5, "--yes")
    assert ended.exit_code == 128 + number
    assert ended.stdout.endswith("15 rows deleted until then; the same command goes on\n")
    assert len(ids(sqlite_url)) == 25
    assert signal.getsignal(number) == handler
    goes_on = rowcast("prune", sqlite_url, "orders", "--keep", "90d", "--yes")
    assert "17 rows deleted" in goes_on.stdout


def test_what_was_done_before_an_error_is_said(sqlite_url: str, rowcast: Run) -> None:
    make(sqlite_url, [100] * 40)
    sql.execute(
        sqlite_url,
        "CREATE TRIGGER stay BEFORE DELETE ON orders WHEN OLD.id = 12 "
        "BEGIN SELECT raise(ABORT, 'paid for'); END",
    )
    ended = rowcast("prune", sqlite_url, "orders", "--keep", "90d", "--batch", 5, "--yes")
    assert ended.exit_code == 2
    assert "paid for; 10 rows deleted until then; the same command goes on" in ended.stderr
    assert ids(sqlite_url)[0] == 11


def test_others_write_between_two_transactions(
    sqlite_url: str, rowcast: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(sqlite_url, [100] * 30)
    customers = iter("ABCDEFGHIJ")

    def insert(seconds: float) -> None:
        assert seconds >= prune.SHORTEST_PAUSE_S
        customer = next(customers)
        sql.execute(
            sqlite_url,
            "INSERT INTO orders (created_at, customer) VALUES ('2001-01-01', %s)",
            [customer],
        )

    monkeypatch.setattr(prune, "pause", insert)
    rowcast("prune", sqlite_url, "orders", "--keep", "90d", "--batch", 10, "--yes")
    assert ids(sqlite_url)[:8] == [*range(23, 31)]


def test_a_row_that_becomes_young_meanwhile_stays(sqlite_url: str) -> None:
    make(sqlite_url, [100] * 20)
    database = Database(sqlite_url)
    try:
        what, _ = pruning(database, "orders", OlderThan(90 * DAY_S))
        keys = [key for page in what._walk(50) for key, is_old in page if is_old]
        sql.execute(sqlite_url, "UPDATE orders SET created_at = '2999-01-01' WHERE id < 4")
        assert what._remove(keys) == 9
    finally:
        database.close()
    assert ids(sqlite_url) == [1, 2, 3, *range(13, 21)]
