"""`rowcast tail`: every row once, whatever happens to the database, to the pipe or to itself."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.harness import sql
from tests.harness.process import wait_until
from tests.harness.server import DatabaseServer
from tests.poller.commands.programs import BOUND_S, FAST, PROJECT, TOKEN, running

Run = Callable[..., Result]
SERVERS = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}


@pytest.fixture
def orders(database_url: str) -> str:
    """A database with a table `orders`."""
    return with_orders(database_url)


@pytest.fixture
def sqlite_orders(sqlite_url: str) -> str:
    return with_orders(sqlite_url)


def with_orders(url: str) -> str:
    key = sql.KEY_TYPES[sql.dialect_of(url)]
    sql.execute(url, f"CREATE TABLE orders (id {key}, customer VARCHAR(80), total INTEGER)")
    return url


def insert(url: str, *customers: str) -> None:
    for customer in customers:
        sql.execute(url, "INSERT INTO orders (customer, total) VALUES (%s, 5)", [customer])


def ids(text: str) -> list[int]:
    return [json.loads(line)["id"] for line in text.splitlines()]


# -- what is printed ------------------------------------------------------------------------------


def test_all_rows_then_the_new_ones(orders: str, rowcast: Run) -> None:
    insert(orders, "Ada", "Grace")
    ended = rowcast("tail", orders, "orders", "--from", 0, "--exit-after", 2)
    assert (ended.exit_code, ended.stdout) == (
        0,
        "id  customer  total\n 1  Ada           5\n 2  Grace         5\n",
    )
    assert "2 rows; to go on: --from " in ended.stderr


def test_new_rows_as_they_come(orders: str) -> None:
    insert(orders, "before")
    with running("tail", orders, "orders", "--format", "json", "--exit-after", "2") as tail:
        tail.wait_for("orders: live")
        for customer in ("Ada", "Grace"):
            insert(orders, customer)
            assert json.loads(tail.line())["customer"] == customer
        assert tail.status() == 0


def test_only_warnings_of_the_log_are_told(sqlite_orders: str) -> None:
    """What a server tells its operators comes when it is asked for."""
    insert(sqlite_orders, "Ada")
    given = ("tail", sqlite_orders, "orders", "--from", "0", "--exit-after", "1")
    told = []
    for env in ({}, {"ROWCAST_LOG_LEVEL": "info"}):
        with running(*given, **env) as tail:
            assert b"Ada" in tail.stdout.read()
            assert tail.status() == 0
            told.append(" limits feed='orders' " in tail.stderr)
    assert told == [False, True]


def test_the_token_goes_on_exactly(orders: str, rowcast: Run) -> None:
    insert(orders, *map(str, range(10)))
    start, found = "0", []
    for number in (1, 3, 6):
        given = ("tail", orders, "orders", "--from", start, "--format", "json")
        ended = rowcast(*given, "--exit-after", number)
        found += ids(ended.stdout)
        start = ended.stderr.split()[-1]
    assert found == [*range(1, 11)]


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"])
def test_a_row_that_commits_late_is_printed(dialect: str, request: pytest.FixtureRequest) -> None:
    url = with_orders(request.getfixturevalue(f"{dialect}_url"))
    values = "INSERT INTO orders (customer, total) VALUES ('late', 1)"
    with (
        sql.Transaction(url) as transaction,
        running("tail", url, "orders", "--format", "json", "--exit-after", "2") as tail,
    ):
        transaction.execute(values)
        tail.wait_for("orders: live")
        insert(url, "early")
        assert json.loads(tail.line())["customer"] == "early"
        transaction.commit()
        assert json.loads(tail.line())["customer"] == "late"
        assert tail.status() == 0


def test_columns_are_chosen_and_misspelt_ones_suggested(sqlite_orders: str, rowcast: Run) -> None:
    insert(sqlite_orders, "Ada")
    given = ("tail", sqlite_orders, "orders", "--from", 0, "--exit-after", 1, "--format", "csv")
    assert rowcast(*given, "--columns", "total, id").stdout == "total,id\n5,1\n"
    misspelt = rowcast(*given, "--columns", "id,totel")
    assert misspelt.exit_code == 2
    assert "orders has no column totel; did you mean total?" in misspelt.stderr


def test_a_row_that_cannot_be_read_is_one_all_the_same(sqlite_orders: str, rowcast: Run) -> None:
    insert(sqlite_orders, "Ada")
    sql.execute(sqlite_orders, "UPDATE orders SET customer = CAST(x'ff' AS TEXT)")
    given = ("tail", sqlite_orders, "orders", "--from", 0, "--exit-after", 1, "--format", "json")
    row = json.loads(rowcast(*given).stdout)
    assert row["id"] == 1
    assert "customer" in row["_withheld"]


# -- what it says instead -------------------------------------------------------------------------


def test_a_table_that_cannot_be_watched_is_said_with_the_way_out(
    sqlite_orders: str, rowcast: Run
) -> None:
    misspelt = rowcast("tail", sqlite_orders, "order")
    assert (misspelt.exit_code, misspelt.stdout) == (2, "")
    assert "there is no table order" in misspelt.stderr
    assert "Did you mean orders?" in misspelt.stderr
    named = rowcast("tail", sqlite_orders, "orders", "--key", "costumer")
    assert named.exit_code == 2
    assert "costumer" in named.stderr


def test_a_table_without_an_integer_key_is_followed_by_window(
    sqlite_url: str, rowcast: Run
) -> None:
    sql.execute(sqlite_url, "CREATE TABLE people (id TEXT NOT NULL PRIMARY KEY, name TEXT)")
    sql.execute(sqlite_url, "INSERT INTO people VALUES ('ada', 'Ada'), ('bob', 'Bob')")
    given = ("tail", sqlite_url, "people", "--from", "0", "--format", "json")
    ended = rowcast(*given, "--exit-after", 2)
    assert ended.exit_code == 0, ended.stderr
    assert "by window, the newest 200 rows by id" in ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert rows == [
        {"op": "upsert", "row": {"id": "bob", "name": "Bob"}},
        {"op": "upsert", "row": {"id": "ada", "name": "Ada"}},
    ]
    sql.execute(sqlite_url, "INSERT INTO people VALUES ('cid', 'Cid')")
    token = ended.stderr.split("--from ")[-1].split()[0]
    again = rowcast("tail", sqlite_url, "people", "--from", token, "--exit-after", 1)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.splitlines()[-1].split() == ["~", "cid", "Cid"]


def test_changes_are_printed_as_they_are_made(sqlite_url: str) -> None:
    sql.execute(sqlite_url, "CREATE TABLE people (id TEXT NOT NULL PRIMARY KEY, name TEXT)")
    sql.execute(sqlite_url, "INSERT INTO people VALUES ('ada', 'Ada')")
    with running("tail", sqlite_url, "people", "--window", "5") as tail:
        tail.wait_for("people: live")
        sql.execute(sqlite_url, "UPDATE people SET name = 'Ada L.'")
        assert tail.line().split() == ["id", "name"]
        assert tail.line().split() == ["~", "ada", "Ada", "L."]
        sql.execute(sqlite_url, "DELETE FROM people")
        assert tail.line().split() == ["-", "ada"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("postgresql://rowcast@127.0.0.1:1/shop", "orders"), "the database cannot be queried"),
        (("no.db", "orders"), "no.db is neither an existing file nor the URL of a database"),
        (("sqlite:////nowhere/no.db", "orders"), "there is no file /nowhere/no.db"),
        (("sqlite:///:memory:", "orders"), "in-memory"),
        (("foo://x/y", "orders"), "Can't load plugin: sqlalchemy.dialects:foo"),
        (("sqlite:///x.db", "orders", "--from", "yesterday"), "'yesterday' is neither 0, nor now"),
        (("sqlite:///x.db",), "name the table, too: tail [URL] TABLE. rowcast tables lists them"),
        (("sqlite:///x.db", "orders", "--exit-after", "0"), "'--exit-after'"),
    ],
)
def test_what_cannot_be_done_is_said(rowcast: Run, arguments: tuple[str, ...], said: str) -> None:
    ended = rowcast("tail", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in " ".join(ended.stderr.split())


def test_nothing_is_written_into_the_folder(sqlite_orders: str, rowcast: Run) -> None:
    """Not the journal's mode either: it is opened to be read."""
    insert(sqlite_orders, "Ada")
    path = Path(sql.sqlite_path(sqlite_orders))
    before = path.read_bytes()
    rowcast("tail", sqlite_orders, "orders", "--from", 0, "--exit-after", 1)
    assert path.read_bytes() == before


def test_a_token_of_another_table_ends_it(sqlite_orders: str, rowcast: Run) -> None:
    insert(sqlite_orders, "Ada")
    ended = rowcast("tail", sqlite_orders, "orders", "--from", "abcdef.1")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "reset (unknown-history)" in ended.stderr
    assert "to go on" not in ended.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_table_that_is_recreated_is_said(sqlite_orders: str, form: str) -> None:
    insert(sqlite_orders, "Ada")
    with running("tail", sqlite_orders, "orders", "--from", "0", "--format", form) as tail:
        rows = [tail.line() for _ in range(2 if form == "text" else 1)]
        assert "Ada" in rows[-1]
        tail.wait_for("orders: live")
        sql.execute(sqlite_orders, "DROP TABLE orders")
        with_orders(sqlite_orders)
        tail.wait_for("reset (history-changed)")
        if form == "json":
            assert tail.status() == 3
            return
        insert(sqlite_orders, "Grace")
        assert "Grace" in tail.line()


# -- ends and interruptions -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_token(sqlite_orders: str, number: int, rowcast: Run) -> None:
    insert(sqlite_orders, "Ada")
    given = ("tail", sqlite_orders, "orders", "--format", "json")
    with running(*given, "--from", "0") as tail:
        assert ids(tail.line()) == [1]
        tail.wait_for("orders: live")
        tail.signal(number)
        assert tail.status() == 128 + number
        assert "Traceback" not in tail.stderr
        token = tail.token
    insert(sqlite_orders, "Grace")
    assert ids(rowcast(*given, "--from", token, "--exit-after", 1).stdout) == [2]


def test_a_signal_that_comes_again_takes_no_token(sqlite_orders: str) -> None:
    """`timeout 60 rowcast tail …` sends each signal twice: to its child, and to its group."""
    insert(sqlite_orders, "Ada")
    with running("tail", sqlite_orders, "orders", "--from", "0", "--format", "json") as tail:
        assert ids(tail.line()) == [1]
        tail.wait_for("orders: live")
        for _ in range(200):
            tail.signal(signal.SIGTERM)
            time.sleep(0.001)
        tail.status()
        assert "to go on: --from" in tail.stderr


def test_a_signal_ends_it_while_nobody_reads(sqlite_orders: str, rowcast: Run) -> None:
    """What is in the pipe by then, its reader still finds, and the token is behind it."""
    insert(sqlite_orders, *map(str, range(20)))
    given = ("tail", sqlite_orders, "orders", "--format", "json")
    with running(*given, "--from", "0") as tail:
        first = tail.line()
        tail.signal(signal.SIGINT)
        assert tail.status() == 130
        read = ids(first + tail.stdout.read().decode())
        rest = rowcast(*given, "--from", tail.token, "--exit-after", 20 - len(read)).stdout
    assert read + ids(rest) == [*range(1, 21)]


@pytest.mark.parametrize("command", ["tail", "tables"])
def test_ctrl_c_ends_it_while_the_database_does_not_answer(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(BOUND_S)
        url = f"postgresql://rowcast@127.0.0.1:{listener.getsockname()[1]}/shop"
        with running(command, url, *(["orders"] if command == "tail" else [])) as program:
            connection, _ = listener.accept()
            with connection:
                program.signal(signal.SIGINT)
                assert program.status() == 130
            assert "Traceback" not in program.stderr
            assert "KeyboardInterrupt" not in program.stderr


@pytest.mark.parametrize("lines", [1, 5])
def test_a_reader_that_leaves_ends_it_without_an_error(
    sqlite_orders: str, lines: int, rowcast: Run
) -> None:
    insert(sqlite_orders, *map(str, range(10)))
    given = ("tail", sqlite_orders, "orders", "--format", "json")
    with running(*given, "--from", "0") as tail:
        read = ids("".join(tail.line() for _ in range(lines)))
        # What this process has buffered is read, too.
        read += ids(tail.stdout.read1().decode()) if tail.stdout.peek() else []  # type: ignore[attr-defined]
        tail.stdout.close()
        assert tail.status() == 0
        assert "Broken" not in tail.stderr
        token = tail.token
    rest = rowcast(*given, "--from", token, "--exit-after", 10 - len(read)).stdout
    assert read + ids(rest) == [*range(1, 11)]


def test_a_reader_that_leaves_a_quiet_table_is_noticed(sqlite_orders: str) -> None:
    with running("tail", sqlite_orders, "orders") as tail:
        tail.wait_for("orders: live")
        tail.stdout.close()
        assert tail.status() == 0


# -- the database goes and comes back -------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
def test_a_pipe_has_each_row_once_through_a_restart(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, rowcast: Run
) -> None:
    """`rowcast tail … --format json | head -80`, and on from its token."""
    server: DatabaseServer = request.getfixturevalue(SERVERS[kind])
    url = with_orders(request.getfixturevalue(f"{kind}_url"))
    rows, errors = tmp_path / "rows", tmp_path / "errors"
    tail = shlex.join([sys.executable, "-m", "poller", "tail", url, "orders", "--format", "json"])
    pipeline = f"{tail} --from 0 2>{errors} | head -80 >{rows}"
    with subprocess.Popen(["sh", "-c", pipeline], cwd=PROJECT, env=os.environ | FAST) as shell:
        insert(url, *map(str, range(30)))
        wait_until(
            lambda: errors.exists() and "orders: live" in errors.read_text(), BOUND_S, "it reads"
        )
        server.stop("immediate")
        server.start()
        insert(url, *map(str, range(30, 90)))
        assert shell.wait(BOUND_S) == 0
    read = ids(rows.read_text())
    token = TOKEN.findall(errors.read_text())[-1]
    rest = rowcast("tail", url, "orders", "--format", "json", "--from", token, "--exit-after", 10)
    there = [row[0] for row in sql.execute(url, "SELECT id FROM orders ORDER BY id")]
    assert len(read) == 80
    assert read + ids(rest.stdout) == there


def test_a_restart_is_waited_for(postgresql_url: str, postgres_server: DatabaseServer) -> None:
    url = with_orders(postgresql_url)
    with running("tail", url, "orders", "--format", "json", "--exit-after", "1") as tail:
        tail.wait_for("orders: live")
        postgres_server.stop("fast")
        tail.wait_for("poll failed")
        postgres_server.start()
        insert(url, "Ada")
        assert json.loads(tail.line())["customer"] == "Ada"
        assert tail.status() == 0
