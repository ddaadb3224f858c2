"""Pages beside a stream: where a page's stream goes on, so that no row is missed or shown twice.

A page's token holds what this worker had delivered before the page read its rows, and these rows.
So the delivered is noted when a request begins: whatever it holds is then in the rows that the
request reads, if it reads them from the same database and not from a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from flask import Flask, current_app, g, url_for

from poller.access import granted
from poller.delivery.view import ALL
from poller.feed import Delivered, Feed
from poller.web import asked, script
from poller.web.admit import page_view
from poller.web.current import service_of, services_of

NOTED = "_rowcast_delivered"  # in `g`: by notifier and feed


def add_to(app: Flask, notifier: str) -> None:
    """Note the delivered at each request's beginning, and let templates ask for a page's stream."""

    def note() -> None:
        noted = g.setdefault(NOTED, {})
        for name, feed in service_of(app, notifier).feeds.items():
            noted[notifier, name] = feed.cursor

    app.before_request(note)
    # A global: a context processor would not reach macros that are imported.
    app.jinja_env.globals.update(rowcast=Page)


def token(
    feed: Feed,
    notifier: str,
    rows: Iterable[object],
    before: Delivered | None = None,
    chosen: Mapping[str, object] | None = None,
) -> str:
    """The token of a page that shows `rows`. Without `before`, what this request noted counts.
    `chosen` is the filter in the address of the page's stream."""
    before = before or g.get(NOTED, {}).get((notifier, feed.name))
    # Nobody knows the columns' types either, as long as nothing was delivered.
    view = ALL if before is None else page_view(feed, granted.values_of(chosen))
    return feed.token_of(before, rows, view)


class Page:
    """What templates know as `rowcast`. If the application has several notifiers, `notifier` is the
    name of the feed's; default: the first. `chosen` is the filter in the stream's address."""

    @staticmethod
    def source(
        name: str, rows: Iterable[object] = (), notifier: str | None = None, **chosen: object
    ) -> str:
        """The address of the stream of a page that shows `rows` of the feed `name`."""
        of = notifier or _first()
        address = url_for(f"{of}.stream", name=name)
        query = asked.written(granted.values_of(chosen))
        query.append(("last_event_id", Page.token(name, rows, of, **chosen)))
        return f"{address}?{urlencode(query)}"

    @staticmethod
    def token(
        name: str, rows: Iterable[object] = (), notifier: str | None = None, **chosen: object
    ) -> str:
        """The token alone, for what resumes by other means than the address."""
        of = notifier or _first()
        return token(service_of(current_app, of).feed(name), of, rows, chosen=chosen)

    @staticmethod
    def script_url() -> str:
        """The address of `rowcast.js`."""
        return script.address(_first(), "js")

    @staticmethod
    def module_url() -> str:
        """The address of the same as a module."""
        return script.address(_first(), "mjs")


def _first() -> str:
    return next(iter(services_of(current_app)))
