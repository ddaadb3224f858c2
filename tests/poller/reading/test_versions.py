"""Versions: the recipes of the docs, what each fence sees of them, and what the doctor says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from flask import Flask

from poller import Database, Notifier, Settings, testing
from poller.doctor import diagnose
from tests.harness import sql
from tests.harness.versions import run_recipe

CUSTOMERS = "CREATE TABLE orders (id {}, customer varchar(99), deleted_at timestamp NULL)"
SETTINGS = Settings(query_timeout_s=60.0)


def make_orders(url: str, recipe: str = "") -> None:
    sql.execute(url, CUSTOMERS.format(sql.KEY_TYPES[sql.dialect_of(url)]))
    sql.execute(url, "INSERT INTO orders (customer) VALUES ('Ada'), ('Ben')")
    run_recipe(url, recipe)


@contextmanager
def following(url: str) -> Iterator[testing.DrivenFeed]:
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("orders", columns=["customer"], version="version", deleted="deleted_at")
    notifier.init_app(app, database=Database(url, query_timeout_s=60.0), settings=SETTINGS)
    with testing.feed(app) as feed:
        yield feed


def events(feed: testing.DrivenFeed) -> list[tuple[str, Any]]:
    feed.poll()
    return [(frame.event, frame.json) for frame in feed.frames() if frame.event != "live"]


def report(url: str, **named: Any) -> list[str]:
    found = diagnose(url, "orders", SETTINGS, **{"version": "version", **named})
    return [*found.lines()]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "mariadb_mdl", "mysql"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with orders, whose changes the recipe of its kind numbers."""
    server = "mariadb_mdl" if request.param == "mysql" else request.param
    found = str(request.getfixturevalue(f"{server}_url"))
    make_orders(found, "mysql" if request.param == "mysql" else "")
    return found


def test_each_change_is_brought_once(url: str) -> None:
    with following(url) as feed:
        assert feed.frames()[0].json == {"feed": "orders", "resumed": False, "key": ["id"]}
        sql.execute(url, "INSERT INTO orders (customer) VALUES ('Cleo'), ('Dan')")
        sql.execute(url, "UPDATE orders SET customer = 'Eve' WHERE id = 1")
        assert events(feed) == [
            ("message", {"id": 3, "customer": "Cleo"}),
            ("message", {"id": 4, "customer": "Dan"}),
            ("message", {"id": 1, "customer": "Eve"}),
        ]
        sql.execute(url, "UPDATE orders SET customer = 'Fay' WHERE id <= 2")
        sql.execute(url, "UPDATE orders SET deleted_at = CURRENT_TIMESTAMP WHERE id = 2")
        assert events(feed) == [
            ("message", {"id": 1, "customer": "Fay"}),
            ("delete", {"id": 2}),
        ]
        sql.execute(url, "UPDATE orders SET deleted_at = NULL WHERE id = 2")
        assert events(feed) == [("message", {"id": 2, "customer": "Fay"})]


def test_whoever_comes_back_gets_what_changed_and_nothing_of_before(url: str) -> None:
    with following(url) as feed:
        token = feed.frames()[-1].id
        sql.execute(url, "UPDATE orders SET customer = 'secret' WHERE id = 1")
        feed.poll()
        sql.execute(url, "UPDATE orders SET customer = 'open' WHERE id = 1")
        feed.poll()
        (row,) = feed.open(token).rows()
        assert row == {"id": 1, "customer": "open"}
        rows = feed.open("0").rows()
        assert rows == [{"id": 2, "customer": "Ben"}, {"id": 1, "customer": "open"}]


@pytest.mark.parametrize("server", ["postgresql", "mariadb", "mariadb_mdl"])
def test_a_change_that_commits_late_is_brought(server: str, request: pytest.FixtureRequest) -> None:
    url = str(request.getfixturevalue(f"{server}_url"))
    make_orders(url)
    with following(url) as feed, sql.Transaction(url) as late:
        feed.frames()
        late.execute("UPDATE orders SET customer = 'late' WHERE id = 1")
        sql.execute(url, "UPDATE orders SET customer = 'early' WHERE id = 2")
        assert events(feed) == [("message", {"id": 2, "customer": "early"})]
        assert events(feed) == []
        late.commit()
        assert events(feed) == [("message", {"id": 1, "customer": "late"})]


def test_a_transaction_that_is_rolled_back_leaves_the_row_as_it_was(url: str) -> None:
    with following(url) as feed:
        with sql.Transaction(url) as undone:
            undone.execute("UPDATE orders SET customer = 'never' WHERE id = 1")
            feed.poll()
            undone.rollback()
        sql.execute(url, "UPDATE orders SET customer = 'Eve' WHERE id = 2")
        assert events(feed)[-1:] == [("message", {"id": 2, "customer": "Eve"})]


def test_the_doctor_has_nothing_to_say_of_a_recipe(url: str) -> None:
    told = report(url, deleted="deleted_at")
    if "fence  uncommitted rows" in told:  # MariaDB as installed
        assert "with the exception named above" in told[-1]
    else:
        assert told[-1] == "orders can be watched; the promise holds in full."


@pytest.mark.parametrize("part", ["insert", "update"])
def test_the_doctor_misses_a_trigger(url: str, part: str) -> None:
    name = f"orders_{part}_version"
    if sql.dialect_of(url) == "postgresql":
        other = {"insert": "UPDATE", "update": "INSERT"}[part]
        sql.run_script(
            url,
            f"""DROP TRIGGER orders_next_version ON orders;
            CREATE TRIGGER orders_next_version BEFORE {other} ON orders
            FOR EACH ROW EXECUTE FUNCTION orders_next_version();""",
        )
    else:
        sql.execute(url, f"DROP TRIGGER {name}")
    told = "\n".join(report(url))
    assert f"nothing in the database numbers orders.version at an {part.upper()}" in told
    assert f"an {part.upper()} that does not bring a new number by itself is not streamed" in told


def test_the_doctor_finds_an_index_that_is_gone(url: str) -> None:
    on = " ON orders" if sql.dialect_of(url) == "mariadb" else ""
    sql.execute(url, f"DROP INDEX orders_by_version{on}")
    assert "lacks  orders.version has no index" in report(url)


def refusal(url: str, **named: Any) -> str:
    return report(url, **named)[-1]


def test_what_cannot_be_a_version_is_refused_in_words(sqlite_url: str) -> None:
    make_orders(sqlite_url)
    assert "has no column number for versions; docs/versions.md" in refusal(
        sqlite_url, version="number"
    )
    assert "deleted_at is not an integer: versions are numbers" in refusal(
        sqlite_url, version="deleted_at"
    )
    assert "orders has no column gone" in refusal(sqlite_url, deleted="gone")
    with pytest.raises(ValueError, match="deleted= needs version="):
        Notifier().watch("orders", columns=["customer"], deleted="deleted_at")


def test_rows_need_a_key(sqlite_url: str) -> None:
    sql.run_script(sqlite_url, "CREATE TABLE orders (customer TEXT, version INTEGER UNIQUE)")
    assert "name the columns that tell its rows apart" in refusal(sqlite_url)
    told = report(sqlite_url, key=["customer"])
    assert "lacks  no unique index says that customer tells one row of orders from another" in told
    assert "lacks  orders.version may be NULL" in told


def test_a_key_may_be_of_several_columns_and_any_type(sqlite_url: str) -> None:
    sql.run_script(
        sqlite_url,
        "CREATE TABLE orders (shop TEXT, number TEXT, total INTEGER, deleted_at INTEGER,"
        " PRIMARY KEY (shop, number));",
    )
    run_recipe(sqlite_url)
    sql.execute(sqlite_url, "INSERT INTO orders (shop, number, total) VALUES ('a', '1', 5)")
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("orders", columns=["total"], version="version", deleted="deleted_at")
    notifier.init_app(app, database=Database(sqlite_url))
    with testing.feed(app) as feed:
        assert feed.frames()[0].json["key"] == ["shop", "number"]
        sql.execute(sqlite_url, "UPDATE orders SET total = 6, deleted_at = 0")
        assert events(feed) == [("message", {"shop": "a", "number": "1", "total": 6})]
        sql.execute(sqlite_url, "UPDATE orders SET deleted_at = 1")
        assert events(feed) == [("delete", {"shop": "a", "number": "1"})]


def test_max_plus_one_is_named(sqlite_url: str) -> None:
    make_orders(sqlite_url)
    for change in ("insert", "update"):
        guard = "WHEN NEW.version IS OLD.version" if change == "update" else ""
        sql.execute(sqlite_url, f"DROP TRIGGER orders_{change}_version")
        sql.execute(
            sqlite_url,
            f"""CREATE TRIGGER orders_{change}_version AFTER {change} ON orders {guard} BEGIN
            UPDATE orders SET version = (SELECT max(version) + 1 FROM orders)
            WHERE rowid = NEW.rowid; END""",
        )
    told = report(sqlite_url)
    assert "lacks  no counter is known from which the triggers take the versions" in told


def test_a_trigger_for_some_columns_is_named(sqlite_url: str) -> None:
    make_orders(sqlite_url)
    ((made,),) = sql.execute(
        sqlite_url, "SELECT sql FROM sqlite_master WHERE name = 'orders_update_version'"
    )
    sql.execute(sqlite_url, "DROP TRIGGER orders_update_version")
    sql.execute(sqlite_url, made.replace("AFTER UPDATE ON", "AFTER UPDATE OF id, customer ON"))
    told = report(sqlite_url)
    assert "         not promised: changes of deleted_at are not streamed" in told


FUNCTION = (
    "CREATE OR REPLACE FUNCTION orders_next_version() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN NEW.version := nextval({}); RETURN NEW; END $$"
)
POSTGRESQL_GROUNDS = {
    "a cache": (
        "ALTER SEQUENCE orders_version CACHE 20",
        "CACHE 20: a connection keeps ids for later",
    ),
    "another sequence": (
        "CREATE SEQUENCE another; " + FUNCTION.format("'another'"),
        "takes its values from several sequences",
    ),
    "no sequence that is known": (
        FUNCTION.format("TG_ARGV[0]"),
        "it cannot be told from which sequence the trigger orders_next_version takes the version",
    ),
}


@pytest.mark.parametrize(
    ("change", "told"), POSTGRESQL_GROUNDS.values(), ids=POSTGRESQL_GROUNDS.keys()
)
def test_what_a_proof_rests_on_is_read_again(postgresql_url: str, change: str, told: str) -> None:
    make_orders(postgresql_url)
    with ExitStack() as stack:
        feed = stack.enter_context(following(postgresql_url))
        status = feed._feed.status
        assert status()["fence"] == "table locks"
        holder = stack.enter_context(sql.Transaction(postgresql_url))
        holder.execute("UPDATE orders SET customer = 'late' WHERE id = 1")
        sql.run_script(postgresql_url, "UPDATE orders SET customer = 'x' WHERE id = 2")
        feed.poll()
        holder.commit()
        sql.run_script(postgresql_url, change)
        feed.poll()
        assert any(told in one for one in report(postgresql_url))
        assert status()["fence"] == "grace period, then table locks"


def test_an_update_by_default_is_an_exception(postgresql_url: str) -> None:
    sql.run_script(
        postgresql_url,
        """CREATE TABLE orders (id bigint PRIMARY KEY, customer text, deleted_at timestamp,
        version bigint GENERATED ALWAYS AS IDENTITY UNIQUE);
        INSERT INTO orders (id, customer) VALUES (1, 'Ada')""",
    )
    assert any(
        "programs have to say SET version = DEFAULT" in one for one in report(postgresql_url)
    )
    with following(postgresql_url) as feed:
        feed.frames()
        sql.execute(postgresql_url, "UPDATE orders SET customer = 'Eve', version = DEFAULT")
        assert events(feed) == [("message", {"id": 1, "customer": "Eve"})]


def test_triggers_that_may_not_be_seen_are_said(mariadb_mdl_url: str) -> None:
    make_orders(mariadb_mdl_url)
    database = mariadb_mdl_url.rpartition("/")[2]
    sql.run_script(
        mariadb_mdl_url,
        f"CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'x';\n"
        f"GRANT SELECT ON {database}.* TO reader@'127.0.0.1';\n"
        "GRANT SELECT ON performance_schema.* TO reader@'127.0.0.1';\n",
    )
    try:
        stranger = mariadb_mdl_url.replace("root@", "reader:x@")
        told = "\n".join(report(stranger))
        assert "this user may not see the triggers of orders" in told
        sql.execute(mariadb_mdl_url, f"GRANT TRIGGER ON {database}.orders TO reader@'127.0.0.1'")
        assert "this user may not see the triggers" not in "\n".join(report(stranger))
    finally:
        sql.execute(mariadb_mdl_url, "DROP USER reader@'127.0.0.1'")


def test_rows_and_json_lines_tell_of_changes(sqlite_url: str) -> None:
    make_orders(sqlite_url)
    with following(sqlite_url) as feed:
        token = feed.frames()[-1].id
        sql.execute(sqlite_url, "UPDATE orders SET customer = 'Eve' WHERE id = 2")
        sql.execute(sqlite_url, "UPDATE orders SET deleted_at = '2026-11-26' WHERE id = 1")
        feed.poll()
        client = feed._client
        answer = client.get("/rows/orders", query_string={"after": token, "limit": 2})
        assert answer.get_json()["rows"] == [
            {"id": 2, "customer": "Eve"},
            {"_deleted": True, "id": 1},
        ]
        assert "max-age=1" in answer.headers["Cache-Control"], "a full one, too, grows old"


def test_a_column_may_not_have_a_name_that_an_answer_uses(sqlite_url: str) -> None:
    sql.run_script(sqlite_url, "CREATE TABLE orders (id INTEGER PRIMARY KEY, _deleted INTEGER)")
    told = [*diagnose(sqlite_url, "orders", SETTINGS).lines()]
    assert "has a column _deleted, a name that Rowcast's own answers use" in "\n".join(told)
