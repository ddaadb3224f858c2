"""The HTTP response that begins a stream, on whichever way the server allows."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.wsgi import ClosingIterator

from poller.serving import handover
from poller.serving.client import ClientSocket
from poller.serving.streams import StreamRequest, Streams
from poller.wire import sse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEADERS = {
    # `no-transform` keeps compressing middleware from holding rows back.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx passes each frame on at once
    "X-Content-Type-Options": "nosniff",
}


class EventStreamResponse(Response):
    """One with the headers of a stream, and a body of known frames."""

    automatically_set_content_length = False

    def __init__(self, *frames: bytes) -> None:
        super().__init__(frames, content_type=f"{sse.CONTENT_TYPE}; charset=utf-8", headers=HEADERS)


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
        write = start_response(self.status, self.get_wsgi_headers(environ).to_wsgi_list())
        taken = handover.take(environ, write) if self._direct else None
        if taken is not None:
            self._streams.fan_out(self._asked, taken)
            return ClosingIterator((), self.close)
        stream = self._streams.respond(self._asked, ClientSocket(_socket(environ)))
        return ClosingIterator(iter(stream), [lambda: self._streams.ended(stream), self.close])


def _socket(environ: WSGIEnvironment) -> socket.socket | None:
    """The client's, if the server shows it (gunicorn does)."""
    client = environ.get("gunicorn.socket")
    return client if hasattr(client, "fileno") else None
