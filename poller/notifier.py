"""The Flask extension: declares which tables are watched, and adds them to applications.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from flask import Flask

from poller import watch as watches
from poller.access import granted
from poller.access.granted import Authorize
from poller.decorators import Decorators
from poller.feed import Feed
from poller.handlers import RowHandler
from poller.reading.database import Database
from poller.reading.description import Key
from poller.reading.engine import UrlOrEngine
from poller.reading.naming import source_name
from poller.running import Running
from poller.runtime.settings import Settings
from poller.service import Service
from poller.watch import FeedSettings, Watch
from poller.web import page, routes
from poller.web.current import EXTENSION, check_place

if TYPE_CHECKING:
    from typing_extensions import Unpack

Handler = TypeVar("Handler", bound=RowHandler)


class Notifier(Decorators, Running):
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
        super().__init__(name)
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
        origins: Sequence[str] | str = (),
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
            feeds,
            settings,
            url_prefix or "",
            default_feed=default_feed or "",
            origins=origins,
            authorize=self.authorize,
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
