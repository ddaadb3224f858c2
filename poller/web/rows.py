"""`/rows/NAME`: the rows after a token as one answer of JSON, for readers without a stream.

Who has a token asks `?after=TOKEN`, and goes on at the answer's `next`. A cache may stand between:
many who are at the same place ask for the same URL. Tokens of all who follow are the same, since
each answer that reaches the tip ends with the worker's own cursor. Two workers may name the same
place differently for a while, where one knows sooner than the other that an id is dead; whoever
asks a cache gets the answer of one of them.

How long an answer may be kept, see `serving/long_poll.py` for why:

| answer | kept |
|---|---|
| full, `after` a token | for as long as a row that was deleted may still be shown |
| rows of the tip, none, a reset | for a second |
| full, from the beginning (`after=0`) | for a second: the history could be another one by then |
| any of a feed with `replay=` | for a second: it could be too old by then |
| any of a feed whose rows change | for a second: what was removed must not be had from a cache |
| where nobody can tell yet, an error | not at all |
| of a feed that is not public | not at all: the next user of this browser may be another one |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.wsgi import ClosingIterator

from poller.serving.client import ClientSocket
from poller.serving.long_poll import Answer
from poller.web import asked, cors
from poller.web.admit import Admitted, NoPlaceError, admit
from poller.web.current import current_service
from poller.web.responses import JSON, busy, client_of, error, json_body
from poller.wire import notices, row

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LIMIT_ROWS = 1_000
MAX_LIMIT_ROWS = 10_000
MAX_WAIT_S = 50  # proxies give up at 60
BEGINNING = "0"
FULL_KEPT_S = 86_400
TIP_KEPT_S = 1
NOT_READY_RETRY_S = 2
UNESCAPED = "!,"  # of a token, in a query

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class Query(NamedTuple):
    """What the URL asks for; `limit` and `wait` as they were written, None if they were not."""

    after: str | None
    wait: int | None
    limit: int | None

    @classmethod
    def of_this_request(cls) -> Query:
        """Raises ValueError, in words, for what is no number."""
        try:
            after = asked.after()
        except UnicodeDecodeError:
            raise ValueError("the query is not UTF-8") from None
        return cls(after, _number("wait", least=0), _number("limit", least=1))

    def following(self, token: str, asked_for: Sequence[tuple[str, str]] = ()) -> str:
        """The URL to go on at, relative to this one, for the same rows: alike for all who ask
        alike."""
        given = [("after", token), ("wait", self.wait), ("limit", self.limit), *asked_for]
        query = [(name, value) for name, value in given if value is not None]
        return "?" + urlencode(query, safe=UNESCAPED)


@cors.reads
def rows(name: str | None) -> Response:
    """Rows after a token, with a time to wait for them. The waiting begins when the server asks for
    the body: a session or connection of the application is not held meanwhile."""
    service = current_service()
    try:
        query = Query.of_this_request()
    except ValueError as problem:
        return error(HTTPStatus.BAD_REQUEST, f"{problem}")
    try:
        admitted = admit(service, name, service.waiting, query.after)
    except NoPlaceError as full:
        return busy(full.feed, full.reason)
    if admitted.feed.closed:
        return error(HTTPStatus.GONE, "this feed has ended")
    waits = request.method != "HEAD" and query.after is not None and not service.draining
    wait_s = min(query.wait or 0, MAX_WAIT_S) if waits else 0
    return RowsResponse(admitted, query, wait_s)


def _number(name: str, *, least: int) -> int | None:
    text = request.args.get(name)
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or int(text) < least:
        raise ValueError(f"{name}={text[:20]!r} is not a whole number from {least}")
    return int(text)


class RowsResponse(Response):
    """The rows. They are read when the server asks for the body, as a stream is opened: so each
    hook of the application has had its say, and a `Cache-Control` of its own stays."""

    def __init__(self, admitted: Admitted, query: Query, wait_s: float) -> None:
        super().__init__(content_type=JSON)
        self._admitted = admitted
        self._query = query
        self._asked_for = asked.written(admitted.filter) + asked.signature()
        self._wait_s = wait_s
        # A public feed behind an application's own hook, which may look at these.
        personal = "Authorization" in request.headers or "Cookie" in request.headers
        self._scope = "private" if personal else "public"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return ClosingIterator(self._body(environ, start_response), self.close)

    def _body(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        limit = min(self._query.limit or LIMIT_ROWS, MAX_LIMIT_ROWS)
        client = ClientSocket(client_of(environ))
        streams = self._admitted.feed.streams
        self._tell(streams.read(self._admitted.request, client, limit, self._wait_s))
        start_response(self.status, self.get_wsgi_headers(environ).to_wsgi_list())
        if environ["REQUEST_METHOD"] != "HEAD":
            yield self.get_data()

    def _tell(self, answer: Answer) -> None:
        if answer.problem:
            self.status_code, kept = HTTPStatus.SERVICE_UNAVAILABLE, "no-store"
            self.headers["Retry-After"] = str(NOT_READY_RETRY_S)
            self.set_data(json_body({"error": answer.problem}))
        elif answer.reset == notices.MALFORMED_ID:
            self.status_code, kept = HTTPStatus.BAD_REQUEST, "no-store"
            self.set_data(json_body({"error": "`after` is not a token of Rowcast's"}))
        else:
            self.status_code = HTTPStatus.GONE if answer.reset else HTTPStatus.OK
            kept = self._kept(answer)
            following = answer.next or self._query.after or ""
            link = self._query.following(following, self._asked_for)
            self.headers["Link"] = f'<{link}>; rel="next"'
            self.set_data(_body(answer, following))
        self.headers.setdefault("Cache-Control", kept)

    def _kept(self, answer: Answer) -> str:
        if self._admitted.private or not answer.next:
            return "no-store"
        # What is too old to be read again, or was changed or removed, must not be had from a cache
        # for another day. Nor must an old window, which is followed by nothing that anybody knows.
        feed = self._admitted.feed
        lasts = feed.streams.replay is None and not feed.watch.rows_change
        if answer.full and self._query.after != BEGINNING and lasts:
            return f"{self._scope}, max-age={FULL_KEPT_S}, immutable"
        return f"{self._scope}, max-age={TIP_KEPT_S}"


def _body(answer: Answer, following: str) -> bytes:
    if answer.reset:
        return json_body({"reset": answer.reset, "next": following})
    rows, live = b",".join(answer.rows), row.to_json(answer.live)
    end = f'],"next":{row.to_json(following)},"live":{live}}}\n'
    return b'{"rows":[' + rows + end.encode()
