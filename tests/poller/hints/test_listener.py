"""A PostgreSQL channel: what is heard, what is lost, and where nobody can listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from poller import Database, Notifier, Settings, SettingsError
from poller.hints import listener
from poller.hints.listener import Listener
from poller.reading.channel import Channel, Deaf
from poller.runtime import recurring
from tests.harness import sql
from tests.harness.greenlets import until
from tests.harness.logged import logged
from tests.harness.postgres import Postgres


class Listening:
    """A listener that is stepped by hand; `heard` are its hints."""

    def __init__(self, url: str, check_s: float = 3600.0) -> None:
        self.url = url
        self.heard: list[str] = []
        self.database = Database(url)
        self.channel = Channel(self.database, "shop")
        self.listener = Listener(self.channel, self.heard.append, check_s)

    def step(self) -> float | None:
        return self.listener.step()

    def hears(self, *payloads: str) -> None:
        """What is told now is heard by one step or several."""
        self.heard.clear()
        for payload in payloads:
            sql.execute(self.url, "SELECT pg_notify('shop', %s)", [payload])

        def all_heard() -> bool:
            self.step()
            return {*payloads} <= {*self.heard}

        until(all_heard, f"{payloads}")

    def close(self) -> None:
        self.listener.stop()
        self.database.close()


@pytest.fixture
def listening(postgresql_url: str) -> Iterator[Listening]:
    found = Listening(postgresql_url)
    yield found
    found.close()


def pid(listening: Listening) -> int:
    return int(listening.channel._driver.info.backend_pid)


def test_it_hears_what_is_told_after_it_has_begun(listening: Listening) -> None:
    assert not listening.listener.status()["listening"]
    with logged() as lines:
        listening.step()
    assert [line["event"] for line in lines] == ["listening"]
    assert listening.heard == [""]  # for what was told before
    listening.hears("orders", "", "invoices")
    told = {"channel": "shop", "listening": True, "problem": ""}
    assert listening.listener.status() == told
    assert not listening.listener.lacking


def test_a_thousand_are_few_hints(listening: Listening) -> None:
    listening.step()
    listening.heard.clear()
    sql.execute(
        listening.url, "SELECT pg_notify('shop', n::text || repeat('', n)) FROM "
        "(SELECT n % 3 AS n FROM generate_series(1, 1000) n) AS told"
    )  # fmt: skip
    listening.hears("the last")
    assert len(listening.heard) == len({*listening.heard}) == 4


def test_a_connection_that_was_ended_is_said_once_and_made_again(listening: Listening) -> None:
    listening.step()
    with logged() as lines, mock.patch.object(recurring, "FIRST_BACKOFF_S", 0.0):
        sql.execute(listening.url, "SELECT pg_terminate_backend(%s)", [pid(listening)])
        until(lambda: listening.step() is not None and listening.listener.problem, "the loss")
        told = listening.listener.status()
        assert not told["listening"]
        assert told["problem"] == listener.LOST
        assert listening.listener.lacking == f"LISTEN shop: {listener.LOST}"
        listening.heard.clear()
        listening.step()
        assert listening.heard == [""]
        listening.hears("orders")
    assert [line["event"] for line in lines] == ["listen lost", "listening again"]


def test_it_goes_on_after_the_server_was_restarted(
    listening: Listening, postgres_server: Postgres
) -> None:
    listening.step()
    postgres_server.restart()
    with logged() as lines:
        until(lambda: listening.step() is not None and listening.listener.problem, "the loss")
        until(lambda: listening.step() is not None and not listening.listener.problem, "it is back")
        listening.hears("orders")
    assert [line["event"] for line in lines] == ["listen lost", "listening again"]


def test_a_server_that_has_forgotten_it_is_noticed(postgresql_url: str) -> None:
    """As a pooler's `server_reset_query` does."""
    listening = Listening(postgresql_url, check_s=0.0)
    listening.step()
    listening.channel._driver.execute("UNLISTEN *")
    with logged() as lines:
        listening.step()
        assert listening.listener.problem
        listening.step()
        listening.hears("orders")
    assert [line["event"] for line in lines] == ["listen lost", "listening again"]
    listening.close()


def test_while_it_waits_it_asks_nothing(listening: Listening) -> None:
    listening.step()
    delay_s = listening.step()
    assert delay_s is not None
    assert delay_s > 3000


def test_it_stops_while_it_waits(postgresql_url: str) -> None:
    listening = Listening(postgresql_url)
    listening.listener.start()
    until(lambda: listening.heard == [""], "that it listens")
    sql.execute(postgresql_url, "NOTIFY shop, 'orders'")
    until(lambda: listening.heard == ["", "orders"], "what was told")
    listening.listener.stop()
    assert not listening.channel.is_open
    listening.close()


def test_who_cannot_hear_says_so_once_and_tries_again_later(listening: Listening) -> None:
    deaf = mock.patch.object(listening.channel, "open", side_effect=Deaf("behind a pooler"))
    with deaf, logged() as lines:
        assert listening.step() == listener.DEAF_S
        assert listening.step() == listener.DEAF_S
    assert [line["event"] for line in lines] == ["listen impossible"]
    assert listening.listener.status()["problem"] == "behind a pooler"
    assert listening.heard == []
    listening.step()
    assert listening.listener.status() == {"channel": "shop", "listening": True, "problem": ""}


# -- the setting ----------------------------------------------------------------------------------


def notifier_at(url: str, **settings: Any) -> Flask:
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("orders", columns=["id"])
    notifier.init_app(app, settings=Settings.model_validate({"database_url": url, **settings}))
    return app


@pytest.mark.parametrize("url", ["sqlite:///shop.db", "mysql://root@localhost/shop"])
def test_a_channel_of_a_database_that_has_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(SettingsError, match="ROWCAST_LISTEN='shop' names a channel of PostgreSQL"):
        notifier_at(url, listen="shop")


@pytest.mark.parametrize("name", ["Shop", "7up", 'a"b', "a b", "", "x" * 64, "naïve"])
def test_a_channel_is_an_identifier_in_lower_case(name: str) -> None:
    with pytest.raises(ValueError, match="listen"):
        Settings.model_validate({"listen": name})


def test_a_transaction_tells_only_where_somebody_listens(
    postgresql_url: str, sqlite_url: str
) -> None:
    told: list[str] = []
    connection = mock.Mock(execute=told.append)
    for url, settings, count in (
        (sqlite_url, {}, 0),
        (postgresql_url, {}, 0),
        (postgresql_url, {"listen": "shop"}, 1),
    ):
        app = notifier_at(url, **settings)
        notify: Callable[..., None] = Notifier().notify
        notify(connection, "orders", app=app)
        assert len(told) == count
