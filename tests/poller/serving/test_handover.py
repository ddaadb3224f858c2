"""What the hand-over relies on in gunicorn and gevent, and what it leaves to the response.

When one of the first tests fails, gunicorn has changed: read `poller/serving/handover.py` before
mending.
With a real server: `tests/serving/test_handover.py`.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.ssl import SSLSocket
from gunicorn.http import wsgi
from gunicorn.http.message import Message
from gunicorn.http.parser import Parser
from gunicorn.http2.response import HTTP2Response
from gunicorn.workers import base_async, ggevent

from poller.serving import handover
from poller.wire import chunked

BOUND_S = 30.0
assert ggevent  # the worker's module: where it is loaded, its sockets are gevent's


class Config:
    """What gunicorn's response reads of its settings."""

    protocol = "http"
    sendfile = None
    is_ssl = False


class Request:
    version = (1, 1)
    method = "GET"
    must_close = False

    def should_close(self) -> bool:
        return self.must_close


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    served, client = gevent_socket.socketpair()
    yield served, client
    served.close()
    client.close()


def started(
    client: Any, kind: Any = wsgi.Response, version: tuple[int, int] = (1, 1)
) -> tuple[Any, Any]:
    """gunicorn's response after the application's start_response, and what that returned."""
    response, request = kind.__new__(kind), Request()
    request.version = version
    wsgi.Response.__init__(response, request, client, Config())
    return response, response.start_response("200 OK", [("Content-Type", "text/event-stream")])


def test_gunicorn_writes_only_the_head_which_goes_out_with_the_first_bytes(
    pair: tuple[Any, Any],
) -> None:
    served, client = pair
    response, write = started(served)
    taken = handover.take({"gunicorn.socket": served}, write)
    assert taken is not None
    response.close()  # as gunicorn does when the application's iterable is used up
    assert response.should_close()
    taken.send(taken.coded(b"data"))
    head, _, body = client.recv(4096).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" in head
    assert body == b"4\r\ndata\r\n"
    taken.send(taken.last(b"the end"))
    taken.close()
    assert client.recv(4096) == b"7\r\nthe end\r\n0\r\n\r\n"
    assert client.recv(4096) == b""


@pytest.mark.parametrize("farewell", [b"", b"retry: 1000\n"])
def test_a_stream_that_ends_before_its_first_bytes_has_a_head(
    pair: tuple[Any, Any], farewell: bytes
) -> None:
    served, client = pair
    _, write = started(served)
    taken = handover.take({"gunicorn.socket": served}, write)
    assert taken is not None
    taken.send(taken.last(farewell))
    taken.close()
    head, _, body = client.recv(4096).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == (chunked.chunk(farewell) if farewell else b"") + chunked.LAST_CHUNK


def test_a_client_of_http_1_0_is_told_of_no_chunks(pair: tuple[Any, Any]) -> None:
    served, client = pair
    _, write = started(served, version=(1, 0))
    taken = handover.take({"gunicorn.socket": served}, write)
    assert taken is not None
    taken.send(taken.last(b"the end"))
    taken.close()
    head, _, body = client.recv(4096).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"the end"


def test_gunicorn_is_left_with_a_socket_that_reaches_nobody(pair: tuple[Any, Any]) -> None:
    served, _ = pair
    _, write = started(served)
    taken = handover.take({"gunicorn.socket": served}, write)
    assert taken is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        served.send(b"HTTP/1.1 400 Bad Request")
    served.close()
    assert taken.send(b"still ours") == 10
    taken.close()


def test_the_worker_ends_a_connection_whose_response_says_close() -> None:
    """Read from gunicorn's source, since nothing public says it."""
    handles = inspect.getsource(base_async.AsyncWorker.handle_request)
    assert "if resp.should_close():\n                raise StopIteration()" in handles
    assert "self.must_close" in inspect.getsource(Message)
    assert "should_close" in inspect.getsource(Parser)


def test_what_cannot_be_taken_over_is_left_to_the_response(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, client = pair
    _, write = started(served)
    assert handover.take({}, write) is None
    assert handover.take({"gunicorn.socket": object()}, write) is None
    assert handover.take({"gunicorn.socket": served}, print) is None
    _, http2 = started(served, HTTP2Response)
    assert handover.take({"gunicorn.socket": served}, http2) is None
    assert handover.take({"gunicorn.socket": SSLSocket.__new__(SSLSocket)}, write) is None
    monkeypatch.delitem(sys.modules, "gunicorn.workers.ggevent")
    assert handover.take({"gunicorn.socket": served}, write) is None
    served.send(b"nothing has happened")
    assert client.recv(100) == b"nothing has happened"


def test_a_head_that_does_not_fit_goes_out_before_the_body(pair: tuple[Any, Any]) -> None:
    """As on a connection whose client has not read the answer before."""
    served, client = pair
    _, write = started(served)
    with gevent.Timeout(BOUND_S):
        served.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                served._sock.send(b"x" * 1000)
        taken = handover.take({"gunicorn.socket": served}, write)
        assert taken is not None
        answer = taken.coded(b"data")
        assert taken.send(answer) == 0
        got = b""
        sending = gevent.spawn(taken.send_all, answer, BOUND_S)
        while not got.endswith(answer):
            got += client.recv(65_536)
        sending.get()
        taken.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.strip(b"x") == answer
