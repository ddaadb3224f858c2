"""The application: the page, what it asks, and streams as any application has them."""

from __future__ import annotations

import time
from pathlib import Path

import gevent
from flask import Flask, Response, abort, redirect, send_from_directory, url_for
from werkzeug.wrappers import Response as AnyResponse

from poller.feed import Feed
from poller.inventory import CannotBeAsked
from poller.service import Service
from poller.serving.server import PYWSGI
from poller.watching import facts
from poller.watching.gate import Gate
from poller.watching.tables import Tables
from poller.web import routes
from poller.web.current import EXTENSION
from poller.web.responses import error, json_body

PAGE = Path(__file__).parent / "page"
FIRST_POLL_S = 5.0  # so long a table that is opened is waited for
LOOK_S = 0.02


def make_app(tables: Tables, gate: Gate) -> Flask:
    """All routes are behind `gate`."""
    app = Flask(__name__, static_folder=None)
    app.extensions[EXTENSION] = tables.service
    app.before_request(gate.check)
    app.after_request(gate.add_headers)
    app.register_blueprint(routes.blueprint(EXTENSION))

    routes_of = _Routes(tables)
    app.add_url_rule("/", view_func=routes_of.begin)
    app.add_url_rule("/table/<name>", view_func=routes_of.table)
    app.add_url_rule("/page/<name>", view_func=routes_of.page)
    app.add_url_rule("/watch/tables", view_func=routes_of.listed)
    app.add_url_rule("/watch/table/<name>", view_func=routes_of.described)
    app.add_url_rule("/watch/now", view_func=routes_of.now)
    return app


class _Routes:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(self) -> AnyResponse:
        """The list, or the first of the tables that were named."""
        if not self._tables.named:
            return send_from_directory(PAGE, "list.html")
        return redirect(url_for("table", name=self._tables.open_named()[0].name))

    def table(self, name: str) -> Response:
        """The page of any table: it reads from its address which one."""
        return send_from_directory(PAGE, "watch.html")

    def page(self, name: str) -> Response:
        """What the page is made of."""
        return send_from_directory(PAGE, name)

    def listed(self) -> Response:
        """What there is to choose from."""
        if self._tables.named:
            abort(404)
        try:
            found = self._tables.inventory()
        except CannotBeAsked as reason:
            return error(503, str(reason))
        listed = [facts.of_listed(one) for one in found.listed]
        return _json({"place": found.place, "tables": listed})

    def described(self, name: str) -> Response:
        """What the page has to know of a table, which is polled from now on."""
        try:
            feed = self._tables.feed(name)
        except KeyError:
            return error(404, "there is no such table here, or it cannot be watched")
        except CannotBeAsked as reason:
            return error(503, str(reason))
        _wait_ready(self._tables.service, feed)
        return _json(facts.of_table(self._tables, feed))

    def now(self) -> Response:
        """What changes, of all tables that are polled."""
        return _json(facts.of_now(self._tables))


def _wait_ready(service: Service, feed: Feed) -> None:
    """Until the table was read, or something is wrong with it."""
    service.start(PYWSGI)
    until = time.monotonic() + FIRST_POLL_S
    while not feed.log.ready and feed.poller.problem is None and time.monotonic() < until:
        gevent.sleep(LOOK_S)


def _json(value: object) -> Response:
    return Response(json_body(value), content_type="application/json")
