"""For the tests of an application that has a notifier: poll once, and read what its streams bring.

    from poller import testing

    def test_an_order_reaches_the_stream(app):
        with testing.feed(app, "orders") as feed:
            add_order("Ada", total=5)
            feed.poll()
            assert feed.rows() == [{"id": 1, "customer": "Ada", "total": 5}]

No server, no thread, no patching, and nothing that waits. A stream that is opened otherwise, by
`app.test_client().get("/stream/orders")`, is refused if nothing is patched, and otherwise never
ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from poller.feed import Feed
from poller.web.current import EXTENSION, service_of

__all__ = ["DrivenFeed", "Frame", "OpenStream", "feed"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as a browser dispatches it. `event` is `message` for a row."""

    event: str
    data: str
    id: str

    @property
    def json(self) -> Any:
        """The data, decoded."""
        return json.loads(self.data)


class OpenStream:
    """A stream that a client of the application has opened, and what has come of it.

    `response` is Flask's; do not read its `data`. If the application refused the stream, its
    status says so, and there are no frames.
    """

    def __init__(self, response: TestResponse, next_chunk: Callable[[], bytes]) -> None:
        self.response = response
        self.last_event_id = ""
        self._next_chunk = next_chunk  # what is there to send, empty if nothing is
        self._first = self._read()  # so "now" is where it was opened

    @property
    def status_code(self) -> int:
        return self.response.status_code

    def frames(self) -> list[Frame]:
        """The events that have come since the last call, in order. Never waits."""
        first, self._first = self._first, b""
        found = [*_frames((first + self._read()).decode(), self.last_event_id)]
        if found:
            self.last_event_id = found[-1].id
        return found

    def rows(self) -> list[Any]:
        """The rows among `frames()`, decoded."""
        return [frame.json for frame in self.frames() if frame.event == "message"]

    def close(self) -> None:
        """The client leaves."""
        self.response.close()

    def _read(self) -> bytes:
        return b"".join(iter(self._next_chunk, b""))


class DrivenFeed:
    """A feed that is polled by hand. `frames()` and `rows()` are of a stream opened before."""

    def __init__(self, app: Flask, polled: Feed, client: FlaskClient, notifier: str) -> None:
        self._app = app
        self._endpoint = f"{notifier}.stream"
        self._feed = polled
        self._client = client
        self._opened = ExitStack()
        self.poll()
        polled.handlers.begin(polled.log, polled.streams.reader)
        polled.handlers.handle_pending()
        self.stream = self.open()

    def poll(self) -> None:
        """Read all that was committed, as a server does every half second, and call the feed's
        handlers with it.

        Raises what a server would log: TableError, or the database's own error.
        """
        while not (self._feed.poller.poll() and self._feed.log.ready):
            pass
        self._feed.handlers.handle_pending()

    def open(
        self, last_event_id: str | None = None, *, client: FlaskClient | None = None
    ) -> OpenStream:
        """Another stream, from now on, or resumed after `last_event_id`.

        `client` may be one that is logged in; default: that of the feed.
        """
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        url = self._app.url_map.bind("localhost").build(self._endpoint, {"name": self._feed.name})
        before = {*self._feed.streams}
        response = (client or self._client).get(url, headers=headers)
        self._opened.callback(response.close)
        for stream in {*self._feed.streams} - before:
            return OpenStream(response, stream.subscriber.next_chunk)
        return OpenStream(response, bytes)

    def frames(self) -> list[Frame]:
        """The events that have come since the last call, in order. Never waits."""
        return self.stream.frames()

    def rows(self) -> list[Any]:
        """The rows among `frames()`, decoded."""
        return self.stream.rows()

    def close(self) -> None:
        """Close the streams that were opened, and the database's connections."""
        self._opened.close()
        self._feed.database.close()


@contextmanager
def feed(
    app: Flask,
    name: str | None = None,
    *,
    client: FlaskClient | None = None,
    notifier: str = EXTENSION,
) -> Iterator[DrivenFeed]:
    """The feed `name` of `app`, default its first: inside, it is polled only by `poll()`.

    A stream "from now on" is open from the start, with `client` if it has to be logged in. If the
    application has several notifiers, `notifier` is the name of the feed's.

    Raises KeyError for a feed that the application does not have, RuntimeError if it is polled
    already, and what `poll()` raises.
    """
    service = service_of(app, notifier)
    polled = service.feed(name)
    if polled.poller.started:
        raise RuntimeError(f"{polled.name} is polled already: drive it before anything starts it")
    by_hand, service.by_hand = service.by_hand, True
    with ExitStack() as stack:
        stack.callback(setattr, service, "by_hand", by_hand)
        driven = DrivenFeed(app, polled, client or app.test_client(), notifier)
        stack.callback(driven.close)
        yield driven


def _frames(text: str, last_event_id: str) -> Iterator[Frame]:
    """As WHATWG HTML 9.2.6 has it, of whole frames with LF: what our streams consist of."""
    event, data, event_id = "", list[str](), last_event_id
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif not line and data:
            yield Frame(event or "message", "\n".join(data), event_id)
            event, data = "", []
