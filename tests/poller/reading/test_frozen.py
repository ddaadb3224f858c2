"""`columns="*"`: one list for all workers, whatever becomes of the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from poller import Database, Notifier, Settings, TableError, testing
from poller.doctor import diagnose_feed
from poller.reading.frozen import Frozen, FrozenError
from tests.harness import sql
from tests.harness.logged import logged

TABLE = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"
ADD = "ALTER TABLE users ADD COLUMN password TEXT DEFAULT 'secret'"
FILE = "rowcast/users.users.columns.json"

Worker = Callable[[], Flask]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def worker(sqlite_url: str, folder: Path) -> Worker:
    """worker(): the application, as one more process of it would have it."""
    sql.execute(sqlite_url, TABLE)

    def make() -> Flask:
        app, notifier = Flask("test", instance_path=str(folder)), Notifier(authorize="public")
        notifier.watch("users", columns="*")
        notifier.init_app(app, database=Database(sqlite_url), settings=Settings())
        return app

    return make


def rows_of(app: Flask) -> list[dict[str, Any]]:
    with testing.feed(app) as feed:
        return feed.open("0").rows()


def insert(url: str, name: str) -> None:
    sql.execute(url, "INSERT INTO users (name) VALUES (%s)", [name])


def test_a_column_that_comes_later_is_never_sent(worker: Worker, sqlite_url: str) -> None:
    insert(sqlite_url, "Ada")
    assert rows_of(worker()) == [{"id": 1, "name": "Ada"}]
    sql.execute(sqlite_url, ADD)
    assert rows_of(worker()) == [{"id": 1, "name": "Ada"}], "not at the next start either"


def test_a_worker_that_ran_before_and_one_that_starts_after_send_the_same(
    worker: Worker, sqlite_url: str
) -> None:
    with testing.feed(worker()) as old:
        sql.execute(sqlite_url, ADD)
        with testing.feed(worker()) as young:
            insert(sqlite_url, "Ada")
            for feed in (old, young):
                feed.poll()
                assert feed.rows() == [{"id": 1, "name": "Ada"}]


def test_a_column_that_goes_is_null_for_every_worker(worker: Worker, sqlite_url: str) -> None:
    with testing.feed(worker()):
        pass
    sql.execute(sqlite_url, "ALTER TABLE users RENAME COLUMN name TO called")
    sql.execute(sqlite_url, "INSERT INTO users (called) VALUES ('Ada')")
    (row,) = rows_of(worker())
    assert (row["name"], "called" in row) == (None, False)
    assert row["_withheld"]["name"] == "the table no longer has this column"


def test_the_log_has_the_list_and_what_to_do(worker: Worker, sqlite_url: str) -> None:
    with logged() as first:
        rows_of(worker())
    sql.execute(sqlite_url, ADD)
    with logged() as second:
        rows_of(worker())
    told = [
        line for line in [*first, *second] if line["event"] == "columns are those of the first look"
    ]
    assert [line["columns"] for line in told] == [["id", "name"], ["id", "name"]]
    assert [line["not_sent"] for line in told] == [[], ["password"]]
    assert all("list the columns in the code" in line["better"] for line in told)
    assert all(line["level"] == "warning" for line in told)


def test_a_table_that_is_not_there_yet_freezes_nothing(
    worker: Worker, sqlite_url: str, folder: Path
) -> None:
    sql.execute(sqlite_url, "DROP TABLE users")
    app = worker()
    with pytest.raises(TableError), testing.feed(app):
        pass
    assert not (folder / FILE).exists()


def test_workers_that_look_at_once_have_one_list(folder: Path) -> None:
    """Each finds the table at another moment of an ALTER. The first to be done is right."""
    many, rounds = 8, 20
    with ThreadPoolExecutor(many) as pool:
        for number in range(rounds):
            barrier = Barrier(many)

            def look(
                worker: int, barrier: Barrier = barrier, number: int = number
            ) -> tuple[str, ...]:
                frozen = Frozen.of(folder, f"feed{number}", "users")
                barrier.wait()
                return (*frozen.names(["id", f"c{worker}"]),)

            assert len({*pool.map(look, range(many))}) == 1
    left = [path for path in (folder / "rowcast").iterdir() if not path.name.startswith("feed")]
    assert left == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"columns": "id"}', '{"columns": []}', '{"columns": [1]}', "\0"],
)
def test_a_file_that_is_no_list_is_refused_and_nothing_is_sent(
    worker: Worker, folder: Path, text: str
) -> None:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(text)
    with pytest.raises(TableError, match=r"columns\.json cannot be used: .*; remove it, or list"):
        rows_of(worker())


def test_where_no_file_can_be_kept_it_is_refused_at_start(worker: Worker, folder: Path) -> None:
    folder.write_text("a file, where a folder should be")
    with pytest.raises(FrozenError, match=r'columns="\*": the list .* cannot be kept .*; list the'):
        worker()


def test_a_list_that_is_there_needs_no_folder_to_write(
    worker: Worker, sqlite_url: str, folder: Path
) -> None:
    insert(sqlite_url, "Ada")
    rows_of(worker())
    (folder / FILE).chmod(0o444)
    (folder / FILE).parent.chmod(0o500)
    assert rows_of(worker()) == [{"id": 1, "name": "Ada"}]
    (folder / FILE).parent.chmod(0o700)


def test_the_doctor_leaves_no_file_and_sees_the_list(
    worker: Worker, sqlite_url: str, folder: Path
) -> None:
    app = worker()
    feed = app.extensions["rowcast"].feed()
    assert not diagnose_feed(feed, Settings()).problem
    assert not [*folder.rglob("*.json")]
    rows_of(app)
    assert json.loads((folder / FILE).read_text()) == {"columns": ["id", "name"]}
    assert not diagnose_feed(feed, Settings()).problem


def test_feeds_with_names_that_no_file_may_have_are_kept_apart(folder: Path) -> None:
    labels = ["a/b", "a.b", "..", "a%2Fb", "ä", "A\nb"]
    for label in labels:
        assert Frozen.of(folder, label, "shop.users").names([label]) == [label]
    assert len([*(folder / "rowcast").iterdir()]) == len(labels)
