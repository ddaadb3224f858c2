"""Strict readers of Server-Sent Events, as WHATWG HTML 9.2.6 words them, over plain sockets.

`Parser` is pure; `Response` adds the HTTP around it; `Stream` is one connection read by the test
itself (no thread: what is not waited for stays in the kernel), so a stream never read is just a
`Stream` nobody waits on. Many at once: `swarm.py`.
"""

import codecs
import json
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 30.0
SHOWN_BYTES = 1_500
READ_BYTES = 65_536
LINE_END = re.compile("\r\n|\n|\r")
EPOCH = re.compile(r"\b([0-9a-f]{10})[0-9a-z]{6}(?=\.)")
ABOUT_ITSELF = ("start", "live")  # events of a stream that are not about its table
LINGER_AND_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Event:
    """One dispatched event; `received_s` is on the monotonic clock."""

    type: str
    data: str
    last_event_id: str
    received_s: float = field(default=0.0, compare=False)

    @property
    def json(self) -> Any:
        """The data, refused when it is not JSON as every browser reads it (no NaN, no Infinity)."""
        return _JSON.decode(self.data)


class Parser:
    """The event stream interpretation; what the standard ignores is kept in `ignored`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.comments = 0
        self.ignored: list[str] = []
        self.retry: int | None = None
        self.last_event_id = ""
        self._id = ""
        self._type = ""
        self._data: list[str] = []
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._first = True

    def feed(self, data: bytes) -> None:
        """Takes bytes cut anywhere; UnicodeDecodeError when they are not UTF-8."""
        text = self._decoder.decode(data)
        if self._first and text:
            text, self._first = text.removeprefix("\ufeff"), False
        *lines, self._text = LINE_END.split(self._hold_back_cr(self._text + text))
        self._text += self._held
        for line in lines:
            self._line(line)

    def _hold_back_cr(self, text: str) -> str:
        """A CR at the end may be half a CRLF: it waits for what follows."""
        self._held = "\r" if text.endswith("\r") else ""
        return text.removesuffix("\r")

    @property
    def at_rest(self) -> bool:
        """Whether no line and no event has begun that is not finished."""
        return not (self._text or self._data or self._type)

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line.startswith(":"):
            self.comments += 1
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)
        else:
            self.ignored.append(line)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        data, kind = "\n".join(self._data), self._type or "message"
        lines, self._data, self._type = self._data, [], ""
        if lines:  # one empty `data` line is an event with empty data: the standard's own example
            self.events.append(Event(kind, data, self.last_event_id, time.monotonic()))


class Response:
    """An HTTP/1.1 response taken in pieces: head, body (chunked, counted or to the end), events."""

    def __init__(self, *, keep_raw: bool = True) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.head = b""
        self.raw = bytearray()
        self.received_bytes = 0
        self.complete = False
        self.parser = Parser()
        self._keep_raw = keep_raw
        self._rest = b""
        self._chunk_left = 0
        self._length_left: int | None = None

    def feed(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self._rest += data
        if self.status is None and not self._take_head():
            return
        if self.headers.get("transfer-encoding") == "chunked":
            while self._take_chunk():
                pass
        else:
            self._take_plain()

    def end(self) -> None:
        """The connection was closed in good order, which ends a body of no declared length."""
        declared = self._length_left is not None or "transfer-encoding" in self.headers
        self.complete = self.complete or not declared

    def _take_head(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return False
        self.head, self._rest = head, rest
        first, *lines = head.decode("latin-1").split("\r\n")
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.status = int(first.split(" ")[1])
        if "content-length" in self.headers:
            self._length_left = int(self.headers["content-length"])
        return True

    def _take_chunk(self) -> bool:
        if self._chunk_left == 0:
            line, end, rest = self._rest.partition(b"\r\n")
            if not end or self.complete:
                return False
            self._chunk_left, self._rest = int(line.split(b";")[0], 16) + 2, rest
            self.complete = self._chunk_left == 2
            return not self.complete
        part = self._rest[: max(self._chunk_left - 2, 0)]
        self._rest = self._rest[len(part) :]
        self._chunk_left -= len(part)
        self._body(part)
        if self._chunk_left == 2 and len(self._rest) >= 2:
            assert self._rest.startswith(b"\r\n"), f"chunk without its end: {self._rest[:40]!r}"
            self._rest, self._chunk_left = self._rest[2:], 0
            return True
        return False

    def _take_plain(self) -> None:
        part, self._rest = self._rest, b""
        if self._length_left is not None:
            self._length_left -= len(part)
            self.complete = self._length_left <= 0
        self._body(part)

    def _body(self, part: bytes) -> None:
        if self._keep_raw:
            self.raw += part
        if part and self.headers.get("content-type", "").startswith("text/event-stream"):
            self.parser.feed(part)


class Stream:
    """One GET of an event stream. Every wait is bounded and tells what came when it fails."""

    def __init__(
        self,
        url: str,
        last_event_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        receive_buffer_bytes: int | None = None,
        behind: bytes = b"",
        source: str | None = None,
    ) -> None:
        """`behind` goes out in one piece with the request, as from a client that pipelines.
        `source` is the client's address, one of loopback."""
        parts = urlsplit(url)
        self.url = url
        self.response = Response()
        self.eof = False
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(DEFAULT_TIMEOUT_S)
        if source is not None:
            self._socket.bind((source, 0))
        self._socket.connect((parts.hostname, parts.port or 80))
        self.local_port: int = self._socket.getsockname()[1]
        self._socket.sendall(request_head(url, last_event_id, headers, method=method) + behind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def status(self) -> int | None:
        return self.response.status

    @property
    def headers(self) -> dict[str, str]:
        return self.response.headers

    @property
    def raw(self) -> bytes:
        """The body so far, without the chunks around it."""
        return bytes(self.response.raw)

    @property
    def events(self) -> list[Event]:
        """What came of the table: rows and resets, without the stream's own `start` and `live`."""
        return [event for event in self.response.parser.events if event.type not in ABOUT_ITSELF]

    @property
    def retry(self) -> int | None:
        return self.response.parser.retry

    @property
    def comments(self) -> int:
        return self.response.parser.comments

    @property
    def last_event_id(self) -> str:
        return self.response.parser.last_event_id

    @property
    def rows(self) -> list[Any]:
        """The JSON of every plain event (type `message`)."""
        return [event.json for event in self.events if event.type == "message"]

    @property
    def row_ids(self) -> list[int]:
        return [int(row["id"]) for row in self.rows]

    @property
    def ended_whole(self) -> bool:
        """Whether the server ended it in good order, no frame begun and not finished."""
        return self.response.complete and self.response.parser.at_rest

    def of_type(self, kind: str) -> list[Event]:
        return [event for event in self.response.parser.events if event.type == kind]

    def wait_for(
        self,
        predicate: Callable[["Stream"], T],
        timeout_s: float = DEFAULT_TIMEOUT_S,
        what: str = "the expected events",
    ) -> T:
        """Reads until `predicate(self)` is true, and returns what it said."""
        end_s = time.monotonic() + timeout_s
        while not (result := predicate(self)):
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"not within {timeout_s} s: {what}\n{self}"
            assert not self.eof, f"the stream ended before {what}\n{self}"
            self.read(left_s)
        return result

    def wait_open(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Self:
        """Until the answer's head and the priming id are there."""
        self.wait_for(lambda _: self.status is not None, timeout_s, "an answer")
        assert self.status == 200, f"status {self.status}\n{self}"
        self.wait_for(lambda _: self.last_event_id, timeout_s, "the priming id")
        return self

    def wait_for_rows(self, count: int, timeout_s: float = DEFAULT_TIMEOUT_S) -> list[int]:
        """Until at least `count` rows came; their ids."""
        what = f"{count} rows"
        self.wait_for(lambda _: len(self.of_type("message")) >= count, timeout_s, what)
        return self.row_ids

    def wait_for_body(self, body: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> Event:
        """Until a row came whose `body` column is this text; its event."""

        def found(_: Stream) -> Event | None:
            rows = (event for event in self.events if event.type == "message")
            return next((row for row in rows if row.json.get("body") == body), None)

        event = self.wait_for(found, timeout_s, f"a row with body {body!r}")
        assert event is not None
        return event

    def wait_for_end(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Until the server closes the connection or ends the body."""
        end_s = time.monotonic() + timeout_s
        while not (self.eof or self.response.complete):
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"still open after {timeout_s} s\n{self}"
            self.read(left_s)

    def read(self, timeout_s: float) -> None:
        """Takes what has come, waiting for the first byte of it at most `timeout_s`."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return
        try:
            data = self._socket.recv(READ_BYTES)
        except ConnectionError:
            self.eof = True
            return
        if data:
            self.response.feed(data)
        else:
            self.eof = True
            self.response.end()

    def send(self, data: bytes) -> None:
        """More than a client of an event stream has to say."""
        self._socket.sendall(data)

    def half_close(self) -> None:
        """Says that nothing more will be sent, and goes on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Goes away without a word: the peer gets RST, as from a client that lost its network."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
        self._socket.close()

    def __str__(self) -> str:
        head = self.response.head.decode("latin-1").replace("\r\n", "\n")
        tail = self.raw[-SHOWN_BYTES:].decode("utf-8", "replace")
        counts = f"{len(self.events)} events, {self.comments} comments, eof {self.eof}"
        return f"--- {self.url}: {counts}\n{head}\n\n…{tail}\n---"


def request_head(
    url: str,
    last_event_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
) -> bytes:
    """A request without a body, as a browser's EventSource sends it."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc, "Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id is not None:
        fields["Last-Event-ID"] = last_event_id
    lines = [f"{name}: {value}" for name, value in {**fields, **(headers or {})}.items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode()


def timeless(text: str) -> str:
    """Ids without the minute in which they were given: the next may begin between two of them."""
    return EPOCH.sub(r"\1", text)


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)  # one for the thousands of rows
