"""`rowcast watch` as a program: what it says, whom it lets in, and that it writes nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness import sql
from tests.harness.http import request
from tests.harness.watching import watching
from tests.poller.commands.programs import BOUND_S, PROJECT


def with_orders(url: str) -> str:
    key = sql.KEY_TYPES[sql.dialect_of(url)]
    sql.execute(url, f"CREATE TABLE orders (id {key}, customer VARCHAR(80), total INTEGER)")
    sql.execute(url, "INSERT INTO orders (customer, total) VALUES (%s, 5)", ["Ada"])
    return url


@pytest.fixture
def orders(sqlite_url: str) -> str:
    return with_orders(sqlite_url)


def test_it_is_for_one_browser_of_this_machine(orders: str) -> None:
    with watching(orders, "orders") as watch:
        for path in ("/", "/table/orders", "/page/watch.js", "/rowcast.js", "/stream/orders"):
            assert request(watch.url + path).status == 403
        for path in ("/rows/orders", "/watch/now", "/watch/table/orders", "/metrics", "/healthz"):
            assert request(watch.url + path).status == 403
        watch.enter()
        assert watch.get("/").headers["location"] == "/table/orders"
        assert watch.get("/table/orders").status == 200
        assert watch.get("/table/orders", Host="evil.example").status == 403
        assert watch.get("/watch/now", method="POST").status == 405
        assert request(watch.address).status == 403
        port = int(watch.url.rpartition(":")[2])
        here = socket.gethostbyname(socket.gethostname())
        if not here.startswith("127."):
            with socket.socket() as other, pytest.raises(OSError, match="refused"):
                other.connect((here, port))


def test_only_the_tables_that_were_named(orders: str) -> None:
    sql.execute(orders, "CREATE TABLE secrets (id INTEGER PRIMARY KEY AUTOINCREMENT, said TEXT)")
    with watching(orders, "orders") as watch:
        watch.enter()
        assert watch.get("/watch/tables").status == 404
        assert watch.get("/watch/table/secrets").status == 404
        assert watch.get("/stream/secrets").status == 404
        named = watch.get("/watch/now").json["tables"]
        assert [one["name"] for one in named] == ["orders"]


def test_only_the_columns_that_were_named(orders: str) -> None:
    with watching(orders, "orders", "--columns", "id, customer") as watch:
        found = watch.enter().get("/watch/table/orders").json
        assert [one["name"] for one in found["columns"]] == ["id", "customer"]
        rows = watch.get(f"/rows/orders?after={quote(found['from'])}").json["rows"]
        assert rows == [{"id": 1, "customer": "Ada"}]


def test_nothing_is_written_on_sqlite(orders: str) -> None:
    path = Path(sql.sqlite_path(orders))
    before = path.read_bytes()
    with watching(orders) as watch:
        watch.enter()
        assert len(watch.get("/watch/tables").json["tables"]) == 1
        assert watch.get("/watch/table/orders").json["ready"]
        assert [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == before


def test_nothing_is_written_on_postgresql(postgresql_url: str) -> None:
    """A database that refuses to be written is shown all the same."""
    with_orders(postgresql_url)
    name = postgresql_url.rpartition("/")[2]
    sql.execute(postgresql_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with watching(postgresql_url) as watch:
        watch.enter()
        assert len(watch.get("/watch/tables").json["tables"]) == 1
        found = watch.get("/watch/table/orders").json
        rows = watch.get(f"/rows/orders?after={quote(found['from'])}").json["rows"]
        assert [row["customer"] for row in rows] == ["Ada"]


def test_the_newest_rows_and_no_others_are_there_at_first(orders: str) -> None:
    values = ", ".join("('more')" for _ in range(900))
    sql.execute(orders, f"INSERT INTO orders (customer) VALUES {values}")
    with watching(orders, "orders") as watch:
        found = watch.enter().get("/watch/table/orders").json
        rows = watch.get(f"/rows/orders?after={quote(found['from'])}").json["rows"]
    assert [row["id"] for row in rows] == [*range(702, 902)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(orders: str, number: int) -> None:
    with watching(orders, "orders") as watch:
        watch.program.signal(number)
        assert watch.program.status() == 0
        assert watch.program.stderr == ""


def test_a_port_that_is_taken_is_said(orders: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        program = [sys.executable, "-m", "poller", "watch", orders, "orders", "--port", port]
        ended = subprocess.run(
            program, cwd=PROJECT, capture_output=True, text=True, timeout=BOUND_S, check=False
        )
    assert ended.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["order"], "Did you mean orders?"),
        (["orders", "people", "--columns", "id"], "--columns and --key are for one table"),
        (["--key", "id"], "--columns and --key are for one table"),
        (["orders", "--columns", "id,totl"], "orders has no column totl; did you mean total?"),
        (["orders", "--port", "70000"], "--port"),
    ],
)
def test_what_cannot_be_done_is_said(orders: str, arguments: list[str], said: str) -> None:
    program = [sys.executable, "-m", "poller", "watch", orders, *arguments]
    ended = subprocess.run(
        program, cwd=PROJECT, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in " ".join(ended.stderr.split())


def test_the_database_may_come_from_the_environment(orders: str) -> None:
    with watching("orders", DATABASE_URL=orders) as watch:
        assert watch.enter().get("/watch/table/orders").json["ready"]
    with watching(DATABASE_URL=orders) as watch:
        assert watch.enter().get("/watch/tables").json["tables"][0]["name"] == "orders"


def test_inside_an_application_it_becomes_its_own_program(orders: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\nfrom poller import Notifier\nnotifier = Notifier()\n"
        "notifier.watch('orders', columns=['id'], authorize='public')\n"
        "app = Flask(__name__)\nnotifier.init_app(app)\n"
        "from poller.__main__ import flask_commands\napp.cli.add_command(flask_commands)\n"
    )
    program = [sys.executable, "-m", "flask", "--app", "shop", "rowcast", "watch", "orders"]
    env = {**os.environ, "DATABASE_URL": orders, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        program, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            said = [child.stdout.readline() for _ in range(3)]
            assert "http://127.0.0.1:" in said[2], said
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=BOUND_S)
        assert child.returncode == 0
