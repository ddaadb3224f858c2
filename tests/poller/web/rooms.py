"""An application whose notes are in rooms: for tests of who reads what.

The column `secret` is never shown. Tests with many cases change `authorize` in between: to make
such an application takes a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.testing import FlaskClient

from poller import Database, Notifier, Settings
from poller.feed import Feed
from poller.service import Service
from poller.web.current import service_of
from tests.harness import sql
from tests.harness.greenlets import until

TABLE = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, room INTEGER, author TEXT, "
    "body TEXT, secret TEXT)"
)
LINES = {"Accept": "application/x-ndjson"}


class Rooms:
    """`notes` ask `authorize`; `news`, of the same table, are public."""

    def __init__(
        self, url: str, authorize: Callable[[Request], Any] | None = None, **options: Any
    ) -> None:
        self.url = url
        self.authorize: Callable[[Request], Any] = authorize or (lambda _: True)
        self.app = Flask("rooms")
        self.app.secret_key = "the key of a test"
        self.notifier = Notifier(authorize=self._ask)
        columns = ["id", "room", "author", "body"]
        filters = ["room", "author", "secret"]
        self.notifier.watch("notes", columns=columns, filters=filters)
        self.notifier.watch(
            "notes", name="news", columns=columns, filters=["room"], authorize="public"
        )
        self.database = Database(url)
        settings = {"poll_interval_s": 0.02, "idle_interval_s": 0.02, **options.pop("settings", {})}
        self.notifier.init_app(
            self.app, database=self.database, settings=Settings.model_validate(settings), **options
        )

    def _ask(self, request: Request) -> Any:
        return self.authorize(request)

    @property
    def client(self) -> FlaskClient:
        """One that sends just the headers that it is given."""
        return self.app.test_client(use_cookies=False)

    @property
    def service(self) -> Service:
        return service_of(self.app)

    @property
    def feed(self) -> Feed:
        return self.service.feed("notes")

    def insert(self, *notes: tuple[int | None, str | None, str]) -> None:
        """Room, author and body of each."""
        with sql.connect(self.url) as connection:
            connection.executemany(
                "INSERT INTO notes (room, author, body, secret) VALUES (?, ?, ?, 'canary')", notes
            )

    def ready(self) -> FlaskClient:
        """A client, once the table was read."""
        client = self.client
        until(lambda: client.get("/readyz").status_code == 200, "ready feeds")
        return client

    def close(self) -> None:
        for feed in self.service.feeds.values():
            feed.close()
        self.database.close()
