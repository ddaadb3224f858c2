"""The Flask extension: declares which tables are watched, and adds them to applications.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from flask import Flask, current_app

from poller import watch as watches
from poller.access import granted
from poller.access.granted import Authorize
from poller.decorators import Decorators
from poller.feed import Delivered, Feed
from poller.handlers import RowHandler
from poller.reading.database import Database
from poller.reading.description import Key
from poller.reading.engine import UrlOrEngine
from poller.reading.naming import source_name
from poller.runtime.settings import Settings
from poller.service import Service
from poller.watch import FeedSettings, Watch
from poller.web import page, routes
from poller.web.current import EXTENSION, check_place, service_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

Handler = TypeVar("Handler", bound=RowHandler)


class Notifier(Decorators):
    """Serves the rows of watched tables as Server-Sent Events, and as answers of JSON.

        notifier = Notifier()
        notifier.watch("orders", columns=["id", "customer", "total"], authorize=may_read)
        notifier.init_app(app)

    adds `GET /stream/NAME`, `/rows/NAME`, `/healthz`, `/readyz` and `/metrics` to the application.

    `authorize` says who may read the feeds that do not say it themselves.

    One notifier may serve several applications. An application may have several notifiers, one
    for each database, if each has a `name` and a prefix of its own.
    """

    def __init__(
        self, name: str = EXTENSION, *, authorize: Authorize | Literal["public"] | None = None
    ) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be a notifier's name: use letters, digits and _")
        self.name = name
        self.authorize = granted.checked(authorize)
        self._watches: list[Watch] = []

    def watch(
        self,
        source: object,
        *,
        name: str | None = None,
        key: Key = None,
        columns: Sequence[str] | None = None,
        authorize: Authorize | Literal["public"] | None = None,
        filters: Sequence[str] = (),
        replay: int | None = None,
        version: str | None = None,
        deleted: str | None = None,
        prepare: Callable[[Database], None] | None = None,
        **settings: Unpack[FeedSettings],
    ) -> None:
        """Watch a table in every application that is initialised from now on.

        `source` is a table's name, a `sqlalchemy.Table` or a mapped class; `name` is the name in
        the URL, default the table's; `key` names the integer id column if it is not the primary
        key.

        `columns` lists what may be seen, beside the key, which always is; `"*"` stands for the
        columns that the table has when it is first read. A `Table` or mapped class may mark its own
        instead: `mapped_column(info={"rowcast": True})`.

        `authorize` says who may read: `"public"` for everybody, or a function that is called with
        the request, at each connect and resume, and returns True, False or an `Access`. By default
        it is the notifier's. `filters` are columns by whose values a client may choose rows.

        If rows may change, `version` names the column in which the database numbers each change
        (docs/versions.md); `key` is then the column, or the columns, that tell one row from
        another, default the primary key. `deleted` names the column that marks a row which is gone.

        `prepare(database)` is called before the first look at the table, and again until it
        succeeds. `settings` are for this feed alone.

        Raises ValueError if nobody says the columns, for a name that is taken or does not fit into
        a URL, for an `authorize` that says nothing, and for `deleted` without `version`;
        SettingsError for a value that is not allowed, TypeError for a setting that a feed cannot
        have for itself.
        """
        if replay is not None:
            raise NotImplementedError("replay=")
        name = name or source_name(source)
        if not name or "/" in name:
            raise ValueError(f"{name!r} cannot be a feed's name: it is part of a URL")
        if any(other.name == name for other in self._watches):
            raise ValueError(f"a feed named {name!r} exists; give this one name=")
        watches.check_settings(settings)
        watch = Watch(
            source,
            name,
            key,
            watches.said(source, name, columns),
            prepare,
            {**settings},
            authorize=granted.checked(authorize),
            filters=tuple(filters),
            version=version,
            deleted=deleted,
        )
        self._watches.append(watch)

    def init_app(
        self,
        app: Flask,
        *,
        database: Database | UrlOrEngine | None = None,
        settings: Settings | None = None,
        url_prefix: str | None = None,
        default_feed: str | None = None,
        origins: Sequence[str] = (),
        metrics: Authorize | Literal["public"] | None = None,
        health: Authorize | Literal["public"] | None = None,
    ) -> None:
        """Serve the watched tables in `app`. Connects to nothing yet.

        `database` may be a URL, an engine of the application's own, or a `Database`; default: what
        the settings say. Settings come from `app.config`, and what it leaves open from the
        environment, if none are given.

        `default_feed` names the feed that is also at `/stream`; without it there is none there.
        `origins` are other sites whose pages may read the feeds, as `https://shop.example`.

        Raises SettingsError; ValueError for a database that cannot be used, or a default feed that
        is not watched; ImportError, with what to install, if a driver is missing; RuntimeError if
        nothing is watched, if nobody says who may read a feed, if the app already has a notifier of
        this name or below this prefix, or under gunicorn's gthread worker.
        """
        if metrics is not None or health is not None:
            raise NotImplementedError("metrics=, health=")
        if not self._watches:
            raise RuntimeError("nothing to watch: call watch() before init_app()")
        served = [watches.served(watch, self.authorize) for watch in self._watches]
        if default_feed is not None and default_feed not in (names := [one.name for one in served]):
            raise ValueError(f"default_feed={default_feed!r} is not watched: it is one of {names}")
        check_place(app, self.name, url_prefix)
        settings = settings or Settings.from_config(app.config)
        if not isinstance(database, Database):
            database = Database(
                database or settings.database_url, query_timeout_s=settings.query_timeout_s
            )
        feeds = [self._feed(watch, database, settings, app) for watch in served]
        app.extensions[self.name] = Service(
            feeds, settings, url_prefix or "", default_feed=default_feed or "", origins=origins
        )
        of_app = routes.blueprint(self.name, with_default=default_feed is not None)
        app.register_blueprint(of_app, url_prefix=url_prefix)
        page.add_to(app, self.name)

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
