"""`rowcast tables` on a shop that was made without a thought of Rowcast."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from poller.doctor import diagnose
from poller.inventory import Inventory, take_inventory
from poller.runtime.settings import Settings
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres
from tests.poller.commands.shops import Shop, shop_on

Run = Callable[..., Result]
SETTINGS = Settings()
MOST_STATEMENTS = 12  # for a table; a reflection by SQLAlchemy takes as many alone


@pytest.fixture(scope="module")
def inventory(shop: Shop) -> Inventory:
    return take_inventory(shop.url, SETTINGS)


def told(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    tables: list[dict[str, Any]] = json.loads(result.stdout)["tables"]
    return tables


def test_every_table_is_listed_as_it_is(shop: Shop, rowcast: Run) -> None:
    listed = told(rowcast("tables", shop.url, "--format", "json"))
    assert {one["name"] for one in listed} == shop.tables.keys()
    for one in listed:
        expected = shop.tables[one["name"]]
        assert one["kind"] == expected.kind, one
        assert key_of(one) == expected.key, one
        assert (one["promise"] or "no") == expected.promise, one
        assert near(one["rows"], expected.rows), one


def key_of(one: dict[str, Any]) -> str:
    """That of a window, where there is no other."""
    return str(one["key"] or (one["window"] and ", ".join(one["window"]["key"])) or "-")


def near(rows: int | None, expected: str) -> bool:
    """MariaDB's number is a guess from a few pages, and of an empty partition at least one."""
    if rows is None or expected == "-":
        return rows is None and expected == "-"
    return abs(rows - int(expected)) <= 3 + int(expected) / 20


def test_the_list_tells_of_each_table_what_the_doctor_tells(
    shop: Shop, inventory: Inventory
) -> None:
    for one in inventory.listed:
        alone = diagnose(shop.url, one.name, SETTINGS, one.key if one.named else None)
        assert [*one.report.findings] == [*alone.findings], one.name
        assert one.report.fence == alone.fence, one.name
        assert (one.report.problem, one.report.way_out) == (alone.problem, alone.way_out), one.name


def test_the_names_are_those_that_can_be_typed(shop: Shop, inventory: Inventory) -> None:
    """Of tables that can be watched one is watched: `"a.b"` and `audit."Log.Entries"`, too."""
    watched = [one for one in inventory.listed if not one.report.problem]
    assert len(watched) > 8
    assert "Order Id" in {one.key for one in watched}


def test_what_is_said_to_do_makes_every_table_watchable(database_url: str, rowcast: Run) -> None:
    """The SQL of the list, run as it is."""
    shop = shop_on(database_url)
    before = told(rowcast("tables", shop.url, "--format", "json"))
    keyless = [one for one in before if one["promise"] == "window" and one["kind"] != "view"]
    assert keyless
    for one in keyless:
        advice = one["way_out"]
        if "materialized" in one["kind"]:
            assert not advice
            continue
        assert "--key rowcast_id" in advice[0]
        sql.run_script(shop.url, "\n".join(advice[1:]) + "\n")
    after = {one["name"]: one for one in told(rowcast("tables", shop.url, "--format", "json"))}
    for one in keyless:
        if "materialized" not in one["kind"]:
            assert after[one["name"]]["key"] == "rowcast_id", after[one["name"]]


def test_people_are_told_what_is_missing(shop: Shop, rowcast: Run) -> None:
    text = rowcast("tables", shop.url).stdout
    lines = text.splitlines()
    count = len(shop.tables)
    assert lines[0].startswith(f"{count} tables and views in {shop.url.partition(':')[0]}")
    assert lines[2].split() == ["name", "kind", "key", "rows", "promise"]
    assert "\x1b" not in text
    assert "customers: customers.id is not an integer" in text
    assert "Give it an integer key, then name that: --key rowcast_id" in text
    clicks = next(line for line in lines if line.startswith("clicks "))
    assert clicks.split()[:3] == ["clicks", "table", "id"]


def test_no_way_is_announced_where_there_is_none(sqlite_url: str, rowcast: Run) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id varchar(9) PRIMARY KEY)")
    sql.execute(sqlite_url, "CREATE VIEW ids AS SELECT id FROM notes")
    ids, notes = rowcast("tables", sqlite_url).output.split("\nids: ")[1].split("\nnotes: ")
    assert ids.rstrip().endswith("two looks after each change")
    assert "for each row once:\n  Give it an integer key" in notes


def test_what_is_said_of_many_tables_is_said_once(mariadb_url: str, rowcast: Run) -> None:
    for name in ("a", "b"):
        sql.execute(mariadb_url, f"CREATE TABLE {name} (id int AUTO_INCREMENT PRIMARY KEY)")
    text = rowcast("tables", mariadb_url).stdout
    assert text.count("performance_schema is off") == 1
    assert "\na, b: performance_schema is off" in text


def test_colours_are_for_terminals_that_want_them(sqlite_url: str, rowcast: Run) -> None:
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    assert "\x1b[32min full" in rowcast("tables", sqlite_url, color=True).stdout
    plain = rowcast("tables", sqlite_url, color=True, env={"NO_COLOR": "1"}).stdout
    assert "\x1b" not in plain


def test_a_name_commands_no_terminal(sqlite_url: str, rowcast: Run) -> None:
    sql.execute(sqlite_url, 'CREATE TABLE "a\x1b[31mb" (id TEXT PRIMARY KEY)')
    ended = rowcast("tables", sqlite_url)
    assert ended.exit_code == 0
    assert r"a\x1b[31mb" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_a_key_that_has_to_be_named_is(sqlite_url: str, rowcast: Run) -> None:
    sql.execute(sqlite_url, 'CREATE TABLE notes (id TEXT PRIMARY KEY, "a b" INTEGER UNIQUE)')
    assert "with exceptions (--key 'a b')" in rowcast("tables", sqlite_url).stdout


def test_an_empty_database_has_no_tables(database_url: str, rowcast: Run) -> None:
    sql.execute(database_url, "SELECT 1")  # makes SQLite's file
    assert rowcast("tables", database_url).stdout.startswith("0 tables and views in ")


def test_a_database_that_is_away_is_said_to_be(rowcast: Run) -> None:
    ended = rowcast("tables", "postgresql://rowcast@127.0.0.1:1/shop")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "the database cannot be queried" in ended.stderr


# -- one table that cannot be read ----------------------------------------------------------------


def assert_only_notes_can_be_read(listed: list[dict[str, Any]]) -> None:
    """Where a user may see nothing of a table at all, its name may be left out."""
    by_name = {one["name"].rpartition(".")[2]: one for one in listed}
    assert by_name["notes"]["promise"]
    assert "may not read" in by_name["secrets"]["problem"]


def test_a_table_that_may_not_be_read_ends_nothing_on_postgresql(
    postgresql_url: str, postgres_server: Postgres, rowcast: Run
) -> None:
    role = f"clerk_{postgresql_url.rsplit('/', 1)[1]}"
    key = "(id bigserial PRIMARY KEY)"
    sql.run_script(
        postgresql_url,
        f"CREATE TABLE notes {key}; CREATE TABLE secrets {key}; CREATE SCHEMA vault;"
        f"CREATE TABLE vault.gold {key}; CREATE ROLE {role} LOGIN; GRANT SELECT ON notes TO {role}",
    )
    try:
        as_clerk = postgresql_url.replace("rowcast@", f"{role}@")
        listed = told(rowcast("tables", as_clerk, "--format", "json"))
        assert_only_notes_can_be_read(listed)
        assert "may not read gold" in {one["name"]: one for one in listed}["vault.gold"]["problem"]
    finally:
        sql.run_script(postgresql_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_table_that_may_not_be_read_ends_nothing_on_mariadb(
    mariadb_url: str, mariadb_server: MariaDB, rowcast: Run
) -> None:
    name = mariadb_url.rsplit("/", 1)[1]
    user = f"clerk_{name}"
    key = "(id int AUTO_INCREMENT PRIMARY KEY)"
    for statement in (
        f"CREATE TABLE notes {key}",
        f"CREATE TABLE secrets {key}",
        f"CREATE USER {user}@'%'",
        f"GRANT SELECT ON {name}.notes TO {user}@'%'",
        f"GRANT INSERT ON {name}.secrets TO {user}@'%'",
    ):
        sql.execute(mariadb_url, statement)
    try:
        as_clerk = mariadb_url.replace("root@", f"{user}@")
        assert_only_notes_can_be_read(told(rowcast("tables", as_clerk, "--format", "json")))
    finally:
        sql.execute(mariadb_url, f"DROP USER {user}@'%'")


def test_a_password_of_the_environment_opens_the_database(
    mariadb_url: str, mariadb_server: MariaDB, rowcast: Run
) -> None:
    name = mariadb_url.rsplit("/", 1)[1]
    user = f"guarded_{name}"
    sql.execute(mariadb_url, f"CREATE USER {user}@'%' IDENTIFIED BY 's3cr:t/'")
    sql.execute(mariadb_url, f"GRANT SELECT ON {name}.* TO {user}@'%'")
    try:
        guarded = mariadb_url.replace("root@", f"{user}@")
        assert rowcast("tables", guarded, env={"MYSQL_PWD": "s3cr:t/"}).exit_code == 0
        assert rowcast("tables", guarded, env={"MYSQL_PWD": "wrong"}).exit_code == 2
    finally:
        sql.execute(mariadb_url, f"DROP USER {user}@'%'")


def test_a_view_that_is_broken_ends_nothing(sqlite_url: str, rowcast: Run) -> None:
    for statement in (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE gone (id INTEGER)",
        "CREATE VIEW broken AS SELECT id FROM gone",
        "DROP TABLE gone",
    ):
        sql.execute(sqlite_url, statement)
    by_name = {one["name"]: one for one in told(rowcast("tables", sqlite_url, "--format", "json"))}
    assert by_name["notes"]["promise"] == "full"
    assert "no such table" in by_name["broken"]["problem"]


# -- the cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_each_table_that_can_be_watched_takes_a_few_statements_and_another_none(
    kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    server = request.getfixturevalue({"postgresql": "postgres_server"}.get(kind, f"{kind}_server"))
    key = "bigserial" if kind == "postgresql" else "bigint AUTO_INCREMENT"
    counts = []
    for first, last in ((0, 1), (1, 11)):
        tables = [f"CREATE TABLE t{n} (id {key} PRIMARY KEY, b text);" for n in range(first, last)]
        tables += [f"CREATE TABLE u{n} (id char(36) PRIMARY KEY);" for n in range(first, last)]
        sql.run_script(url, "\n".join(tables))
        with server.count_statements(url) as count:
            assert len(take_inventory(url, SETTINGS).listed) == 2 * last
        counts.append(len(count.statements))
    assert counts[1] - counts[0] <= 10 * MOST_STATEMENTS, counts


def test_what_has_no_integer_key_can_be_watched_by_window(shop: Shop, rowcast: Run) -> None:
    by_window = [
        one for one in told(rowcast("tables", shop.url, "--format", "json")) if one["window"]
    ]
    assert len(by_window) > 5
    for one in by_window:
        ended = rowcast("doctor", shop.url, one["name"], "--window", "20")
        assert ended.exit_code in (0, 1), f"{one['name']}: {ended.output}"
        assert "can be watched by window: its newest 20 rows" in ended.output
