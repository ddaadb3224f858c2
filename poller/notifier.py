"""The Flask extension: declares which tables are watched, and adds them to applications.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeVar

from flask import Flask, current_app

from poller.feed import Delivered, Feed, Watch
from poller.handlers import RowHandler
from poller.reading.database import Database
from poller.reading.description import Key
from poller.reading.engine import UrlOrEngine
from poller.runtime.settings import Settings
from poller.service import Service
from poller.web import page, routes
from poller.web.current import EXTENSION, service_of, services_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

Handler = TypeVar("Handler", bound=RowHandler)


class FeedSettings(TypedDict, total=False):
    """Settings that a feed may have for itself; `poller.Settings` says what they mean."""

    poll_interval_s: float
    idle_interval_s: float
    batch_rows: int
    history_rows: int
    log_capacity_rows: int
    log_capacity_bytes: int
    max_value_bytes: int
    gap_grace_s: float


def _adds_to(handlers: list[RowHandler]) -> Callable[[Handler], Handler]:
    def add(function: Handler) -> Handler:
        handlers.append(function)
        return function

    return add


class Notifier:
    """Serves the rows of watched tables as Server-Sent Events, and as answers of JSON.

        notifier = Notifier()
        notifier.watch("orders", columns=["id", "customer", "total"])
        notifier.init_app(app)

    adds `GET /stream` (the first watched table), `/stream/NAME`, `/rows/NAME`, `/healthz`,
    `/readyz` and `/metrics` to the application.

    One notifier may serve several applications. An application may have several notifiers, one
    for each database, if each has a `name` and a prefix of its own.
    """

    def __init__(self, name: str = EXTENSION) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be a notifier's name: use letters, digits and _")
        self.name = name
        self._watches: list[Watch] = []

    def watch(
        self,
        source: object,
        *,
        name: str | None = None,
        key: Key = None,
        columns: Sequence[str] | None = None,
        version: str | None = None,
        deleted: str | None = None,
        prepare: Callable[[Database], None] | None = None,
        **settings: Unpack[FeedSettings],
    ) -> None:
        """Watch a table in every application that is initialised from now on.

        `source` is a table's name, a `sqlalchemy.Table` or a mapped class; `name` is the name in
        the URL, default the table's; `key` names the integer id column if it is not the primary
        key; `columns` lists what may be seen, default all. `prepare(database)` is called before the
        first look at the table, and again until it succeeds. `settings` are for this feed alone.

        If rows may change, `version` names the column in which the database numbers each change
        (docs/versions.md); `key` is then the column, or the columns, that tell one row from
        another, default the primary key. `deleted` names the column that marks a row which is gone.

        Raises ValueError for a name that is taken or does not fit into a URL, or for `deleted`
        without `version`, SettingsError for a
        value that is not allowed, TypeError for a setting that a feed cannot have for itself.
        """
        watch = Watch.of(source, name, key, columns, prepare, {**settings}, version, deleted)
        if not watch.name or "/" in watch.name:
            raise ValueError(f"{watch.name!r} cannot be a feed's name: it is part of a URL")
        if any(other.name == watch.name for other in self._watches):
            raise ValueError(f"a feed named {watch.name!r} exists; give this one name=")
        for setting in settings.keys() - FeedSettings.__annotations__.keys():
            raise TypeError(f"{setting} is no setting of one feed: give it to init_app()")
        Settings().with_changes(**settings)
        self._watches.append(watch)

    def on_row(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with each new row of the feed `name`, as a dict.

            @notifier.on_row("orders")
            def print_receipt(order):
                ...

        It is called in every process that polls, so with four workers four times: for what has to
        happen once, use a queue or a lock. Rows come after they are in the log, one after the
        other, as their stream shows them, inside the application's context; rows that were
        committed before the process began to poll do not. What the function raises is logged and
        ends nothing. While it waits, streams go on.

        Raises KeyError if no such feed is watched, ValueError if its rows may change: there nobody
        knows whether a row is new.
        """
        watch = self._watch(name)
        if watch.version is not None:
            raise ValueError(
                f"rows of {name} may change, so nobody knows which are new: use on_change"
            )
        return _adds_to(watch.handlers)

    def on_change(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with each row of the feed `name` that is inserted or
        changed, as it is then. Otherwise as `on_row()`, for a feed whose rows may change.

        Raises KeyError if no such feed is watched, ValueError if it is one of new rows.
        """
        return _adds_to(self._of_changes(name).handlers)

    def on_delete(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with the key of each row of the feed `name` that is gone,
        as a dict. Otherwise as `on_change()`.
        """
        return _adds_to(self._of_changes(name).on_delete)

    def _of_changes(self, name: str) -> Watch:
        watch = self._watch(name)
        if watch.version is None:
            raise ValueError(
                f"{name} is a feed of new rows, which do not change: use on_row, or watch it by "
                "version="
            )
        return watch

    def init_app(
        self,
        app: Flask,
        *,
        database: Database | UrlOrEngine | None = None,
        settings: Settings | None = None,
        url_prefix: str | None = None,
    ) -> None:
        """Serve the watched tables in `app`. Connects to nothing yet.

        `database` may be a URL, an engine of the application's own, or a `Database`; default: what
        the settings say. Settings come from `app.config`, and what it leaves open from the
        environment, if none are given.

        Raises SettingsError; ValueError for a database that cannot be used; ImportError, with what
        to install, if its driver is missing; RuntimeError if nothing is watched, if the app already
        has a notifier of this name or below this prefix, or under gunicorn's gthread worker.
        """
        if not self._watches:
            raise RuntimeError("nothing to watch: call watch() before init_app()")
        self._check_place(app, url_prefix)
        settings = settings or Settings.from_config(app.config)
        if not isinstance(database, Database):
            database = Database(
                database or settings.database_url, query_timeout_s=settings.query_timeout_s
            )
        feeds = [self._feed(watch, database, settings, app) for watch in self._watches]
        app.extensions[self.name] = Service(feeds, settings, url_prefix or "")
        app.register_blueprint(routes.blueprint(self.name), url_prefix=url_prefix)
        page.add_to(app, self.name)

    def _check_place(self, app: Flask, url_prefix: str | None) -> None:
        if self.name in app.extensions:
            raise RuntimeError(
                f"this application has a notifier named {self.name} already; name the other one: "
                'Notifier("archive"), and give its init_app() an url_prefix'
            )
        if any(one.url_prefix == (url_prefix or "") for one in services_of(app).values()):
            raise RuntimeError(
                "another notifier of this application has these routes: give this one an url_prefix"
            )

    def _feed(self, watch: Watch, database: Database, settings: Settings, app: Flask) -> Feed:
        label = watch.name if self.name == EXTENSION else f"{self.name}/{watch.name}"
        return Feed(watch, database, settings, label, app, app.app_context)

    def _watch(self, name: str) -> Watch:
        for watch in self._watches:
            if watch.name == name:
                return watch
        raise KeyError(f"{name} is not watched: call watch() first")

    # -- what an application does with it ---------------------------------------------------

    def feed(self, name: str | None = None, *, app: Flask | None = None) -> Feed:
        """A feed of `app` (default: the current one), by name or the first. Raises KeyError."""
        return self._service(app).feed(name)

    def page_token(
        self, name: str, rows: Iterable[object], *, before: Delivered | None = None
    ) -> str:
        """The token of a page that shows `rows`: a stream that is asked to resume there brings what
        the page does not show, and nothing twice.

        `rows` are ids, mappings, or objects that have the key. They must have been read after this
        request began, or after `before` was taken from `feed(name).cursor`. While the worker is not
        ready, the token makes the stream begin with `reset`.
        """
        return page.token(self.feed(name), self.name, rows, before)

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

    def _service(self, app: Flask | None) -> Service:
        return service_of(app or current_app, self.name)
