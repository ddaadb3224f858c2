"""The Flask extension: declares which tables are watched, and adds them to applications.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Flask, current_app

from poller.feed import Feed, Watch
from poller.reading.database import Database
from poller.runtime.settings import Settings
from poller.service import Service
from poller.web import routes
from poller.web.current import EXTENSION, service_of


class Notifier:
    """Serves the rows of watched tables as Server-Sent Events, and as answers of JSON.

        notifier = Notifier()
        notifier.watch("posts")
        notifier.init_app(app, database=Database("sqlite:///my.db"))

    adds `GET /stream` (the first watched table), `/stream/NAME`, `/rows/NAME`, `/healthz`,
    `/readyz` and `/metrics` to the application.
    """

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def watch(
        self,
        source: object,
        *,
        name: str | None = None,
        key: str | None = None,
        columns: Sequence[str] | None = None,
        prepare: Callable[[Database], None] | None = None,
    ) -> None:
        """Watch a table in every application that is initialised from now on.

        `source` is a table's name, a `sqlalchemy.Table` or a mapped class; `name` is the name in
        the URL, default the table's; `key` names the integer id column if it is not the primary
        key; `columns` lists what may be seen, default all. `prepare(database)` is called before the
        first look at the table, and again until it succeeds.

        Raises ValueError for a name that is taken or does not fit into a URL.
        """
        watch = Watch.of(source, name, key, columns, prepare)
        if not watch.name or "/" in watch.name:
            raise ValueError(f"{watch.name!r} cannot be a feed's name: it is part of a URL")
        if any(other.name == watch.name for other in self._watches):
            raise ValueError(f"a feed named {watch.name!r} exists; give this one name=")
        self._watches.append(watch)

    def init_app(
        self,
        app: Flask,
        *,
        database: Database | None = None,
        settings: Settings | None = None,
        url_prefix: str | None = None,
    ) -> None:
        """Serve the watched tables in `app`. Connects to nothing yet.

        Settings come from the environment if none are given, the database from the settings.
        Raises SettingsError; RuntimeError if nothing is watched, if the app already has a notifier,
        or under gunicorn's gthread worker.
        """
        if not self._watches:
            raise RuntimeError("nothing to watch: call watch() before init_app()")
        if EXTENSION in app.extensions:
            raise RuntimeError("this application has a notifier already")
        settings = settings or Settings.from_env()
        database = database or Database(
            settings.database_url, query_timeout_s=settings.query_timeout_s
        )
        feeds = [Feed(watch, database, settings) for watch in self._watches]
        app.extensions[EXTENSION] = Service(feeds, settings)
        app.register_blueprint(routes.blueprint(), url_prefix=url_prefix)

    # -- what an application does with it ---------------------------------------------------

    def feed(self, name: str | None = None, *, app: Flask | None = None) -> Feed:
        """A feed of `app` (default: the current one), by name or the first. Raises KeyError."""
        return self._service(app).feed(name)

    def start(self, app: Flask | None = None) -> None:
        """Begin to poll, in this process. Otherwise the first request does.

        Raises RuntimeError, with what to do, if the standard library is not patched for gevent:
        streams would hang.
        """
        self._service(app).start()

    def stop(self, app: Flask | None = None) -> None:
        """Stop polling."""
        self._service(app).stop()

    def wake(self, name: str | None = None, *, app: Flask | None = None) -> None:
        """Poll now, since a row was inserted here."""
        self.feed(name, app=app).wake()

    def close(self, name: str, *, app: Flask | None = None) -> None:
        """End a feed for good: its streams end; a client that asks again gets 204 and stops."""
        self.feed(name, app=app).close()

    def drain(self, app: Flask | None = None) -> None:
        """End all streams, within 2 s, and take no new ones: this process is about to end."""
        self._service(app).drain()

    @staticmethod
    def _service(app: Flask | None) -> Service:
        return service_of(app or current_app)
