"""The Flask extension: adds what `declared.py` declares to applications.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from flask import Flask

from poller import watch as watches
from poller.access import granted
from poller.access.granted import Authorize
from poller.declared import Declared
from poller.feed import Feed
from poller.reading.database import Database
from poller.reading.engine import UrlOrEngine
from poller.running import Running
from poller.runtime.settings import Settings
from poller.service import Service
from poller.watch import Watch
from poller.web import page, routes
from poller.web.current import EXTENSION, check_place
from poller.window_feed import feed_of


class Notifier(Declared, Running):
    """Serves the rows of watched tables as Server-Sent Events, and as answers of JSON.

        notifier = Notifier()
        notifier.watch("orders", columns=["id", "customer", "total"], authorize=may_read)
        notifier.init_app(app)

    adds `GET /stream/NAME`, `/rows/NAME`, `/healthz`, `/readyz` and `/metrics` to the application.

    `authorize` says who may read the feeds that do not say it themselves.

    One notifier may serve several applications. An application may have several notifiers, one
    for each database, if each has a `name` and a prefix of its own.
    """

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
        status: Authorize | Literal["public"] | None = None,
    ) -> None:
        """Serve the watched tables in `app`. Connects to nothing yet.

        `database` may be a URL, an engine of the application's own, or a `Database`; default: what
        the settings say. Settings come from `app.config`, and what it leaves open from the
        environment, if none are given.

        `default_feed` names the feed that is also at `/stream`; without it there is none there.
        `origins` are other sites whose pages may read the feeds, as `https://shop.example`.

        `metrics` says who may read `/metrics`, `health` who gets the details of `/readyz`, and
        `status` who may open `/status`, which is only there if somebody may: "public", or a
        function that is called with the request and returns True or False. Whoever has
        ROWCAST_OPERATOR_TOKEN always may.

        Raises SettingsError; ValueError for a database that cannot be used, or a default feed that
        is not watched; ImportError, with what to install, if a driver is missing; RuntimeError if
        nothing is watched, if nobody says who may read a feed, if the app already has a notifier of
        this name or below this prefix, or under gunicorn's gthread worker.
        """
        if not self._watches:
            raise RuntimeError("nothing to watch: call watch() before init_app()")
        served = [self._served(watch, app) for watch in self._watches]
        if default_feed is not None and default_feed not in (names := [one.name for one in served]):
            raise ValueError(f"default_feed={default_feed!r} is not watched: it is one of {names}")
        check_place(app, self.name, url_prefix)
        settings = settings or Settings.from_config(app.config)
        if not isinstance(database, Database):
            database = Database(
                database or settings.database_url, query_timeout_s=settings.query_timeout_s
            )
        feeds = [self._feed(watch, database, settings, app) for watch in served]
        service = Service(
            feeds,
            settings,
            url_prefix or "",
            default_feed=default_feed or "",
            origins=origins,
            authorize=self.authorize,
            metrics=granted.checked(metrics),
            health=granted.checked(health),
            status=granted.checked(status),
        )
        app.extensions[self.name] = service
        of_app = routes.blueprint(
            self.name,
            with_default=default_feed is not None,
            with_status=service.shows_status,
        )
        app.register_blueprint(of_app, url_prefix=url_prefix)
        page.add_to(app, self.name)

    def _served(self, watch: Watch, app: Flask) -> Watch:
        folder = Path(app.instance_path)
        return watches.served(watch, self._label(watch), self.authorize, folder)

    def _feed(self, watch: Watch, database: Database, settings: Settings, app: Flask) -> Feed:
        return feed_of(watch, database, settings, self._label(watch), app, app.app_context)

    def _label(self, watch: Watch) -> str:
        return watch.name if self.name == EXTENSION else f"{self.name}/{watch.name}"
