"""An application that watches two tables, called directly: no server around it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poller import Database, Notifier, Settings
from poller.feed import Feed
from poller.web.current import service_of
from poller.wire.epoch import Salt
from tests.harness import sql
from tests.harness.greenlets import unpatched, until
from tests.poller.web import rooms
from tests.poller.web.rooms import Rooms

TABLE = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"


@pytest.fixture(autouse=True)
def clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no minute begins between two ids that a test compares."""
    monkeypatch.setattr(Salt, "at", lambda salt, _: replace(salt, now=1000, time=1000))


class Shop:
    """The application and its tables `notes` and `alarms`, polled every few milliseconds."""

    def __init__(self, url: str, **changes: object) -> None:
        self.url = url
        self.notifier, self.app = Notifier(authorize="public"), Flask("shop")
        self.notifier.watch("notes", columns=["id", "body"])
        self.notifier.watch("alarms", columns=["id", "body"])
        values = {"poll_interval_s": 0.02, "idle_interval_s": 0.02, "heartbeat_s": 0.1, **changes}
        self.database = Database(url)
        self.notifier.init_app(
            self.app,
            database=self.database,
            settings=Settings.model_validate(values),
            default_feed="notes",
            metrics="public",
            health="public",
            status="public",
        )

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def feed(self) -> Feed:
        return service_of(self.app).feed("notes")

    def insert(self, *bodies: str) -> None:
        """Into `notes`, in one transaction."""
        with sql.connect(self.url) as connection:
            connection.executemany("INSERT INTO notes (body) VALUES (?)", [(b,) for b in bodies])

    def ready(self) -> FlaskClient:
        """A client, once every table was read."""
        client = self.client
        until(lambda: client.get("/readyz").status_code == 200, "ready feeds")
        return client

    def seen(self, row_id: int) -> FlaskClient:
        """A client, once the poller has seen this row of `notes`."""
        client = self.ready()
        until(lambda: row_id in self.feed.log.cursor, f"row {row_id}")
        return client

    def close(self) -> None:
        service = service_of(self.app)
        service.stop()
        for feed in service.feeds.values():
            feed.close()
        self.database.close()


@pytest.fixture
def make_shop(sqlite_url: str) -> Iterator[Callable[..., Shop]]:
    for table in ("notes", "alarms"):
        sql.execute(sqlite_url, TABLE.format(table))
    shops = []

    def make(**changes: object) -> Shop:
        shops.append(Shop(sqlite_url, **changes))
        return shops[-1]

    with unpatched():
        yield make
        for shop in shops:
            shop.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()


@pytest.fixture
def make_rooms(sqlite_url: str) -> Iterator[Callable[..., Rooms]]:
    """make_rooms(authorize, settings={…}, **options of init_app)"""
    sql.execute(sqlite_url, rooms.TABLE)
    made = []

    def make(*arguments: Any, **options: Any) -> Rooms:
        made.append(Rooms(sqlite_url, *arguments, **options))
        return made[-1]

    with unpatched():
        yield make
        for one in made:
            one.close()
