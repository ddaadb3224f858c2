"""The program of README's "Who sees what": whoever copies it has a safe application."""

import json
import types
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poller import testing
from tests.docs.pages import PROJECT, of
from tests.harness import sql

TABLE = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT, total INTEGER, "
    "card TEXT)"
)
ORDERS = [("Ada", 30), ("Bob", 5), ("Ada", 12)]


@pytest.fixture
def app(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    sql.execute(sqlite_url, TABLE)
    for order in ORDERS:
        insert = "INSERT INTO orders (customer, total, card) VALUES (%s, %s, '4111')"
        sql.execute(sqlite_url, insert, order)
    (block,) = (
        one
        for one in of("python")
        if one.page == PROJECT / "README.md" and one.options.get("file") == "members.py"
    )
    module = types.ModuleType("members")
    exec(compile(block.text, "members.py", "exec"), module.__dict__)
    made: Flask = module.app
    return made


@pytest.fixture
def client_of(app: Flask) -> Callable[[str], FlaskClient]:
    def client(user: str) -> FlaskClient:
        client = app.test_client()
        with client.session_transaction() as session:
            session["user"] = user
        return client

    return client


def test_each_user_gets_their_own_rows_without_the_card(
    app: Flask, client_of: Callable[[str], FlaskClient]
) -> None:
    with testing.feed(app, "orders", client=client_of("Ada")) as feed:
        ada = feed.open("0", client=client_of("Ada")).rows()
        bob = feed.open("0", client=client_of("Bob")).rows()
    assert [row["total"] for row in ada] == [30, 12]
    assert [row["total"] for row in bob] == [5]
    assert "4111" not in json.dumps([ada, bob])
    assert {name for row in ada + bob for name in row} == {"id", "customer", "total"}


@pytest.mark.parametrize("path", ["/stream/orders", "/rows/orders?after=0", "/stream/absent"])
def test_a_stranger_is_refused(app: Flask, path: str) -> None:
    for headers in ({}, {"Accept": "application/x-ndjson"}, {"Last-Event-ID": "0"}):
        with testing.feed(app, "orders"):
            assert app.test_client().get(path, headers=headers).status_code == 403


def test_nobody_widens_it(app: Flask, client_of: Callable[[str], FlaskClient]) -> None:
    def status(query: str) -> int:
        return client_of("Ada").head(f"/stream/orders?{query}").status_code

    with testing.feed(app, "orders"):
        assert status("customer=Ada") == 200
        assert status("customer=Bob") == 403
        assert status("card=4111") == status("card=9"), "it tells nothing of a hidden column"
