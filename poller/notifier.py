"""The Flask extension: feeds by name, and the routes that serve them.

Nothing happens at import, and nothing is polled before `start()` or the first request that needs
it: a greenlet started before gunicorn forks would be copied into every worker. State is kept per
application.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent
from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request

from poller.access import capacity
from poller.access.admission import Slots
from poller.feed import Feed, Watch
from poller.reading.database import Database
from poller.runtime import metrics
from poller.runtime.settings import Settings
from poller.serving.streams import Opening
from poller.web.responses import EventStreamResponse, StreamResponse
from poller.wire import sse

EXTENSION = "rowcast"
FULL_RETRY_MS = (5_000, 15_000)  # over a cap: come back somewhere in between
DRAINING_RETRY_MS = (100, 2_000)  # this process ends: soon another one answers
DRAIN_S = 1.0  # streams that have not ended by then are cut


@dataclass(slots=True)
class _State:
    """One application's share."""

    feeds: dict[str, Feed]
    settings: Settings
    room: capacity.Room
    slots: Slots
    draining: bool = False
    started: bool = False

    @property
    def streams(self) -> int:
        return sum(len(feed.streams) for feed in self.feeds.values())

    def start(self) -> None:
        if not self.started:
            self.started = True
            self.room.announce()
        for feed in self.feeds.values():
            feed.start()


class Notifier:
    """Serves the rows of watched tables as Server-Sent Events.

        notifier = Notifier()
        notifier.watch("posts")
        notifier.init_app(app, database=Database("sqlite:///my.db"))

    adds `GET /stream` (the first watched table), `/stream/NAME`, `/healthz`, `/readyz` and
    `/metrics` to the application.
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

        `source` is a table's name, a `sqlalchemy.Table` or a mapped class; `name` is what stands
        in the URL, default the table's; `key` names the integer id column where the primary key is
        another; `columns` lists what may be seen, default all. `prepare(database)` is called before
        the first look at the table, again and again until it raises nothing.

        Raises ValueError for a name that is taken or does not fit into a URL.
        """
        watch = Watch.of(source, name, key=key, columns=columns, prepare=prepare)
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

        Settings come from the environment where none are given, the database from the settings.
        Raises SettingsError; RuntimeError where nothing is watched or the app has a notifier.
        """
        if not self._watches:
            raise RuntimeError("nothing to watch: call watch() before init_app()")
        if EXTENSION in app.extensions:
            raise RuntimeError("this application has a notifier already")
        settings = settings or Settings.from_env()
        database = database or Database(
            settings.database_url, query_timeout_s=settings.query_timeout_s
        )
        feeds = {watch.name: Feed(watch, database, settings) for watch in self._watches}
        room = capacity.room(settings.max_streams)
        slots = Slots(room.streams, settings.max_streams_per_address)
        app.extensions[EXTENSION] = _State(feeds, settings, room, slots)
        app.register_blueprint(_blueprint(), url_prefix=url_prefix)

    # -- what an application does with it ---------------------------------------------------

    def feed(self, name: str | None = None, *, app: Flask | None = None) -> Feed:
        """A feed of `app` (default: the current one), by name or the first. Raises KeyError."""
        return _feed(_state(app), name)

    def start(self, app: Flask | None = None) -> None:
        """Begin to poll, in this process. Otherwise the first request does."""
        _state(app).start()

    def stop(self, app: Flask | None = None) -> None:
        """Stop polling."""
        for feed in _state(app).feeds.values():
            feed.stop()

    def wake(self, name: str | None = None, *, app: Flask | None = None) -> None:
        """Poll now, since a row was inserted here."""
        self.feed(name, app=app).wake()

    def close(self, name: str, *, app: Flask | None = None) -> None:
        """End a feed for good: its streams end, and whoever asks again gets 204 and stops."""
        self.feed(name, app=app).close()

    def drain(self, app: Flask | None = None) -> None:
        """End all streams, within 2 s, and take no new ones: this process is about to end."""
        drain(app or current_app)


def start(app: Flask) -> None:
    """Begin to poll for an application in this process; for servers' hooks."""
    _state(app).start()


def drain(app: Flask) -> None:
    """End all streams of an application; for servers' hooks."""
    state = _state(app)
    state.draining = True
    streams = state.streams
    for feed in state.feeds.values():
        feed.streams.drain(streams)
    deadline = time.monotonic() + DRAIN_S
    while state.streams and time.monotonic() < deadline:
        gevent.sleep(0.01)
    for feed in state.feeds.values():
        feed.streams.cut()


def _state(app: Flask | None) -> _State:
    state = (app or current_app).extensions.get(EXTENSION)
    if not isinstance(state, _State):
        raise RuntimeError(  # noqa: TRY004 - nobody passed a wrong type
            "this application has no notifier: call init_app() first"
        )
    return state


def _feed(state: _State, name: str | None) -> Feed:
    return next(iter(state.feeds.values())) if name is None else state.feeds[name]


# -- routes -------------------------------------------------------------------------------------


def _blueprint() -> Blueprint:
    blueprint = Blueprint(EXTENSION, __name__)
    blueprint.add_url_rule("/stream", view_func=stream, defaults={"name": None})
    blueprint.add_url_rule("/stream/<name>", view_func=stream)
    blueprint.add_url_rule("/healthz", view_func=healthz)
    blueprint.add_url_rule("/readyz", view_func=readyz)
    blueprint.add_url_rule("/metrics", view_func=expose_metrics)
    return blueprint


def stream(name: str | None) -> Response:
    """Rows as they are committed. Holds no session and no connection while it runs."""
    state = _state(None)
    if name is not None and name not in state.feeds:
        abort(404)
    feed = _feed(state, name)
    if feed.closed:
        return Response(status=204)  # the one answer after which a client stops for good
    state.start()
    if state.draining:
        return _turned_away(feed, "draining", DRAINING_RETRY_MS)
    if reason := state.slots.refusal(request.remote_addr):
        return _turned_away(feed, reason, FULL_RETRY_MS)
    slot = state.slots.slot(request.remote_addr)
    opening = Opening(_last_event_id(), request.remote_addr or "", slot)
    return StreamResponse(feed.streams, opening, direct=state.settings.fanout)


def _turned_away(feed: Feed, reason: str, retry_ms: tuple[int, int]) -> Response:
    """Not 503: a native EventSource would never come back."""
    metrics.rejections.labels(feed.name, reason).inc()
    return EventStreamResponse(sse.retry_frame(random.randint(*retry_ms)))


def _last_event_id() -> str | None:
    """The header wins over the query: a client that reconnects keeps its first URL."""
    return request.headers.get("Last-Event-ID") or request.args.get("last_event_id")


def healthz() -> Response:
    """This process lives, whatever the database does."""
    state = _state(None)
    state.start()
    return Response("ok\n", content_type="text/plain; charset=utf-8")


def readyz() -> tuple[Response, int]:
    """200 when every feed polled lately, else 503 and why."""
    state = _state(None)
    state.start()
    feeds = {name: feed.status() for name, feed in state.feeds.items()}
    ready = not state.draining and all(status["ready"] for status in feeds.values())
    answer = {"ready": ready, "draining": state.draining, "feeds": feeds}
    return jsonify(answer), 200 if ready else 503


def expose_metrics() -> Response:
    """Prometheus' text format, summed over the workers."""
    text, content_type = metrics.expose()
    return Response(text, content_type=content_type)
