"""The HTTP responses that begin a stream, on whichever way the server allows, or refuse one."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.wsgi import ClosingIterator

from poller.runtime import metrics
from poller.serving import handover
from poller.serving.client import ClientSocket
from poller.serving.streams import StreamRequest, Streams
from poller.serving.wsgi_stream import WsgiStream
from poller.wire import json_lines, row, sse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FULL_RETRY_MS = (5_000, 15_000)  # over a cap: come back somewhere in between
DRAINING_RETRY_MS = (1_000, 2_000)  # this process ends: soon another one answers
JSON = "application/json"
HEADERS = {
    # `no-transform` keeps compressing middleware from holding rows back.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx passes each frame on at once
}
EVENT_STREAM = [("Content-Type", f"{sse.CONTENT_TYPE}; charset=utf-8"), *HEADERS.items()]


class EventStreamResponse(Response):
    """One with the headers of a stream, and a body of known frames."""

    automatically_set_content_length = False

    def __init__(self, *frames: bytes) -> None:
        super().__init__(frames, headers=EVENT_STREAM)


class StreamResponse(EventStreamResponse):
    """The stream itself. It opens when the server asks for the body, after every hook of the
    application had its say about the headers: so none is opened, and counted, that is never served.
    """

    def __init__(self, streams: Streams, asked: StreamRequest, *, direct: bool) -> None:
        super().__init__()
        self._streams = streams
        self._asked = asked
        self._direct = direct

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        write = start_response(self.status, self.headers.to_wsgi_list())
        taken = handover.take(environ, write) if self._direct else None
        if taken is not None:
            self._streams.fan_out(self._asked, taken)
            return ClosingIterator((), self.close)
        return through_server(self._streams, self._asked, environ, self.close)


class LinesResponse(Response):
    """The stream as JSON lines."""

    automatically_set_content_length = False

    def __init__(self, streams: Streams, asked: StreamRequest) -> None:
        super().__init__(content_type=json_lines.CONTENT_TYPE, headers=HEADERS)
        self._streams = streams
        self._asked = asked

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.get_wsgi_headers(environ).to_wsgi_list())
        return through_server(self._streams, self._asked, environ, self.close, _as_lines)


def through_server(
    streams: Streams,
    asked: StreamRequest,
    environ: WSGIEnvironment,
    close: Callable[[], None],
    body_of: Callable[[WsgiStream], Iterator[bytes]] = iter,
) -> Iterable[bytes]:
    """A stream as the body that a server iterates over, in a greenlet of its own."""
    stream = streams.respond(asked, ClientSocket(client_of(environ)))
    return ClosingIterator(body_of(stream), [lambda: streams.ended(stream), close])


def _as_lines(stream: WsgiStream) -> Iterator[bytes]:
    chunks = iter(stream)
    try:
        for chunk in chunks:
            yield json_lines.from_frames(chunk)
    finally:
        chunks.close()  # type: ignore[attr-defined]


# -- for clients that are no EventSource --------------------------------------------------------


def error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Why there are no rows, in words."""
    unkept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(json_body({"error": text}), status, unkept, content_type=JSON)


def busy(feed: str, reason: str) -> Response:
    """503 with a time to come back, spread so that not all come at once."""
    metrics.rejections.labels(feed, reason).inc()
    draining = reason == "draining"
    soonest, latest = DRAINING_RETRY_MS if draining else FULL_RETRY_MS
    after_s = random.randint(soonest // 1000, latest // 1000)
    text = "this process is shutting down" if draining else "there is no place for you now"
    return error(503, text, {"Retry-After": str(after_s)})


def json_body(value: object) -> bytes:
    """One line."""
    return row.to_json(value).encode() + b"\n"


def client_of(environ: WSGIEnvironment) -> socket.socket | None:
    """The client's socket, if the server shows it (gunicorn does)."""
    client: Any = environ.get("gunicorn.socket")
    return client if hasattr(client, "fileno") else None
