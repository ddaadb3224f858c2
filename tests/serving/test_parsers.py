"""gunicorn's two parsers of requests, the one in Python and the one in C, take the same for a
request, and a stream is taken over behind either.

The C parser is a package of its own, `gunicorn_h1c`, and gunicorn uses it where it is installed.
Everything else here is tested with the parser that every gunicorn has.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser

from tests.harness import raw
from tests.harness.gunicorn import Gunicorn
from tests.serving.helpers import OpenStream

pytest.importorskip("gunicorn_h1c", reason="the C parser is not installed")

SETTLED_S = 30.0
HOST = b"Host: a\r\n"
GET, POST = b"GET / HTTP/1.1\r\n" + HOST, b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
# What proxies and servers were seen to read differently, so that one request became two. Left out
# are two that harm nobody: the C parser takes several spaces between the parts of the first line,
# and refuses HTTP/1.2.
REQUESTS = {
    "plain": GET + b"\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "absolute": b"GET http://a/x?y HTTP/1.1\r\n" + HOST + b"\r\n",
    "two requests": GET + b"\r\n" + NEXT,
    "an empty line before": b"\r\n" + GET + b"\r\n",
    "two empty lines before": b"\r\n\r\n" + GET + b"\r\n",
    "LF before": b"\n" + GET + b"\r\n",
    "LF for lines": GET.replace(b"\r", b"") + b"\n",
    "LF after a header": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "CR in a value": GET + b"X: a\rb\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "DEL in a value": GET + b"X: a\x7f\r\n\r\n",
    "Latin-1 in a value": GET + b"X: \xe9\r\n\r\n",
    "tabs around a value": GET + b"X:\ta\t \r\n\r\n",
    "a folded value": GET + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "no colon": GET + b"nonsense\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "an underscore": GET + b"X_Forwarded_For: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": GET + HOST + b"\r\n",
    "no path": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte in the path": b"GET /\x80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control in the path": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03\r\n\r\n",
    "a long line": b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": GET + b"X: " + b"a" * 8200 + b"\r\n\r\n",
    "too many headers": GET + b"".join(b"X%d: a\r\n" % n for n in range(101)) + b"\r\n",
    "a body": POST + b"Content-Length: 3\r\n\r\nabc" + NEXT,
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "lengths in a list": POST + b"Content-Length: 1, 1\r\n\r\na",
    "+1": POST + b"Content-Length: +1\r\n\r\na",
    "-1": POST + b"Content-Length: -1\r\n\r\na",
    "0x1": POST + b"Content-Length: 0x1\r\n\r\na",
    "1_0": POST + b"Content-Length: 1_0\r\n\r\naaaaaaaaaa",
    "no length": POST + b"Content-Length: \r\n\r\na",
    "length and chunks": CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "VT chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + NEXT,
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunks for HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"\r\n0\r\n\r\n" + NEXT,
    "chunks": CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT,
    "a chunk's extension": CHUNKED + b"\r\n3;a=b\r\nabc\r\n0\r\n\r\n" + NEXT,
    "LF after chunks": CHUNKED + b"\r\n3\nabc\n0\n\n" + NEXT,
    "a chunk of -3": CHUNKED + b"\r\n-3\r\nabc\r\n0\r\n\r\n" + NEXT,
    "half a head": GET,
}
REFUSED = "refused"


def parsed(parser: str, data: bytes, size: int) -> list[Any]:
    """The requests that a parser finds in `data`, which comes in pieces of `size`."""
    config = Config()
    config.set("http_parser", parser)
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    found: list[Any] = []
    try:
        for one in itertools.islice(RequestParser(config, pieces, ("127.0.0.1", 1)), 3):
            what = one.method, one.uri, one.path, one.query, one.version, one.headers
            found.append((*what, one.should_close(), one.body.read()))
    except (ParseException, NoMoreData):
        found.append(REFUSED)
    return found


@pytest.mark.parametrize("name", REQUESTS)
def test_both_parsers_take_the_same_for_a_request(name: str) -> None:
    data = REQUESTS[name]
    for size in (len(data), 7, 1):
        assert parsed("fast", data, size) == parsed("python", data, size)


def test_what_is_compared_are_requests_and_refusals() -> None:
    outcomes = [parsed("python", data, len(data)) for data in REQUESTS.values()]
    assert sum(REFUSED in one for one in outcomes) > 20
    assert sum(len(one) == 2 and REFUSED not in one for one in outcomes) > 3  # the next one, too


# -- behind the C parser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fast_wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    folder = tmp_path_factory.mktemp("fast")
    with Gunicorn(folder, {}, options=["--http-parser", "fast"]) as server:
        yield server.wait_ready()


@pytest.mark.serving
@pytest.mark.parametrize("behind", [b"", NEXT, b"\0\r\n\r\n"], ids=["", "request", "garbage"])
def test_a_stream_is_taken_over_with_what_came_behind_its_request(
    fast_wall: Gunicorn, open_stream: OpenStream, behind: bytes
) -> None:
    stream = open_stream(fast_wall.stream_url, behind=behind).wait_open()
    assert stream.headers["connection"] == "close"  # it is taken over
    ids = [fast_wall.post("one"), fast_wall.post("two")]
    assert stream.wait_for_rows(2) == ids
    assert b"HTTP/" not in stream.raw


@pytest.mark.serving
def test_a_stream_may_be_the_second_request_of_a_connection(fast_wall: Gunicorn) -> None:
    page, stream = (
        b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path for path in (b"healthz", b"stream")
    )
    with raw.connections(fast_wall.port, 1, page + stream) as (client,):
        client.settimeout(SETTLED_S)
        came = b""
        while b"event: live" not in came:
            piece = client.recv(65_536)
            assert piece, came
            came += piece
    assert came.count(b"HTTP/1.1 200") == 2


@pytest.mark.serving
@pytest.mark.parametrize("name", ["length and chunks", "two lengths", "LF for lines", "no colon"])
def test_what_is_no_request_is_a_400_without_a_traceback(fast_wall: Gunicorn, name: str) -> None:
    with raw.connections(fast_wall.port, 1, REQUESTS[name]) as clients:
        (answer,) = raw.answers(clients, SETTLED_S)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
    assert "Traceback" not in fast_wall.log(), fast_wall.log()
