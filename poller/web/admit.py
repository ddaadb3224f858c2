"""Who may read: asked at each connect and each resume, before a place is taken.

One function for `/stream`, JSON lines and `/rows`. It looks at the page that asks (`cors.py`), the
places, the application's word (`authorize`, or a signed address instead), what the query asks for
within that, and at the places again, which others may have taken while the application was asked.

What was refused is counted and told in the log, see `access/refusals.py`. Who was refused gets one
sentence.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

import gevent
from flask import abort, current_app, has_request_context, request
from werkzeug.exceptions import HTTPException

from poller.access import granted, signed
from poller.access.admission import Admission
from poller.access.granted import PUBLIC, Access
from poller.access.signed import Place, SignatureRefusedError, Signer
from poller.delivery.view import ALL, View
from poller.feed import Feed
from poller.runtime import log
from poller.service import Service
from poller.serving.streams import StreamRequest
from poller.serving.tenure import UNBOUNDED, Tenure
from poller.web import asked, cors
from poller.web.current import ensure_started
from poller.web.responses import error

NOT_YOURS = "this is not yours to read"
LIFETIME_SHARE = 0.5  # of a lifetime, over which the ends of streams are spread
FRAMES_SHOWN = 3  # of the application's code, where it failed
EVERYTHING = Access()


class NoPlaceError(Exception):
    """Come back later: there is no place, or nobody can say yet who may read. `feed` is the label
    of one, empty if there is none of that name."""

    def __init__(self, feed: str, reason: str) -> None:
        super().__init__(reason)
        self.feed, self.reason = feed, reason


class Admitted(NamedTuple):
    """What a request may have. `private`: no cache may keep the answer, for it is one client's."""

    feed: Feed
    request: StreamRequest
    filter: asked.Filter
    private: bool


def admit(service: Service, name: str | None, places: Admission, after: str | None) -> Admitted:
    """The stream of the feed `name` that this request may have, to take one of `places` when it
    opens. Raises NoPlaceError; what may not be read is aborted."""
    feed = _feed(service, name)
    if cors.standing(service) == "foreign":
        origin = request.headers.get("Origin", "")
        _refuse(service, feed, "origin", "pages of other sites may not read this", origin=origin)
    _check_places(feed, places)
    asked_at = time.monotonic()
    access, private = _access(service, feed)
    ensure_started(service)
    view, filter_ = _view(service, feed, access)
    tenure = _tenure(service, feed, access, asked_at) if private else UNBOUNDED
    _check_places(feed, places)
    wanted = asked.stream_request(service, feed, places, after, view, tenure)
    return Admitted(feed, wanted, filter_, private)


def _feed(service: Service, name: str | None) -> Feed:
    """An unknown one is 404, for those whom the application would let read another one."""
    found = service.feeds.get(service.default_feed if name is None else name)
    if found is None:
        said = _asked("", service.authorize) if callable(service.authorize) else True
        if said is not True and not isinstance(said, Access):
            abort(error(HTTPStatus.FORBIDDEN, NOT_YOURS))
        abort(HTTPStatus.NOT_FOUND)
    return found


def _check_places(feed: Feed, places: Admission) -> None:
    if reason := places.refusal(request.remote_addr):
        raise NoPlaceError(feed.label, reason)


# -- the application's word ---------------------------------------------------------------------


def _access(service: Service, feed: Feed) -> tuple[Access, bool]:
    """What this request may see, and whether that was said of it alone."""
    if cors.is_signed():
        return _signed(service, feed), True
    authorize = feed.watch.authorize
    if authorize == PUBLIC:
        return EVERYTHING, False
    if not callable(authorize):  # a feed that no route is for
        _refuse(service, feed, "forbidden")
    return _said(service, feed, authorize), True


def _said(service: Service, feed: Feed, authorize: Callable[..., object]) -> Access:
    try:
        said = _asked(feed.label, authorize)
    except HTTPException as refusal:
        code = refusal.get_response().status_code
        reason = "unauthenticated" if code == HTTPStatus.UNAUTHORIZED else "forbidden"
        service.refusals.note(feed.label, reason, request.remote_addr or "")
        raise
    return _meant(service, feed, said)


def _asked(feed: str, authorize: Callable[..., object]) -> object:
    """The application's word on this request. Raises HTTPException where it says so; NoPlaceError
    where it cannot say, for after an error nobody comes back."""
    try:
        return authorize(request)
    except HTTPException as refusal:
        if refusal.get_response().status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        _note_failure(feed, refusal)
    except (Exception, gevent.Timeout) as failure:  # noqa: BLE001 - the client is to come back
        _note_failure(feed, failure)
    raise NoPlaceError(feed, "authorize-failed")


def _meant(service: Service, feed: Feed, said: object) -> Access:
    if said is True:
        return EVERYTHING
    if said is False:
        _refuse(service, feed, "forbidden")
    if not isinstance(said, Access):
        _mistake(service, feed, f"it returned {type(said).__name__}: return a bool or an Access")
    return said


def _note_failure(feed: str, failure: BaseException) -> None:
    """Where, and not what it says: that may hold a token, or a statement with a session's id."""
    frames = traceback.extract_tb(failure.__traceback__)[1:][-FRAMES_SHOWN:]
    at = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("authorize failed", feed=feed, error=type(failure).__name__, at=at)


def _signed(service: Service, feed: Feed) -> Access:
    text = request.args[signed.PARAMETER]
    place = Place(request.blueprint or "", feed.name)
    signer = Signer(signed.keys_of(current_app.config))
    try:
        return signer.read(text, place, granted.now())
    except SignatureRefusedError as refused:
        _refuse(service, feed, refused.reason, "this address is not good here, or no longer")


# -- what is asked for, within that -------------------------------------------------------------


def _view(service: Service, feed: Feed, access: Access) -> tuple[View, asked.Filter]:
    """What this request gets, and what it asked for of that."""
    try:
        filter_ = asked.filter_of(feed)
    except ValueError as problem:
        _refuse(service, feed, "query", str(problem), status=HTTPStatus.BAD_REQUEST)
    if not (filter_ or access.filter or access.columns is not None):
        return ALL, filter_
    if not feed.described:
        raise NoPlaceError(feed.label, "not-ready")
    try:
        forced = feed.view(granted.values_of(access.filter), access.columns)
    except ValueError as problem:
        _mistake(service, feed, str(problem))
    for name in filter_:
        # Rows chosen by what is not shown would tell it; and so would words on how it is written.
        if not (feed.shows(name) if forced.shown is None else name in forced.shown):
            _refuse(service, feed, "query", asked.no_filter(name), status=HTTPStatus.BAD_REQUEST)
    try:
        wanted = feed.view(filter_)
    except ValueError as problem:
        _refuse(service, feed, "query", str(problem), status=HTTPStatus.BAD_REQUEST)
    return _both(service, feed, forced, wanted), filter_


def page_view(feed: Feed, chosen: Mapping[str, Sequence[Any]]) -> View:
    """What whoever asks for a page now would get of the feed, by an address with this filter.

    The application is asked, with the page's own request; where it does not grant a part of the
    feed, what it says is for the stream to find out. Raises ValueError for a filter that is none.
    """
    access, wanted = EVERYTHING, feed.view(chosen)
    if callable(feed.watch.authorize) and has_request_context():
        with suppress(HTTPException, NoPlaceError):
            said = _asked(feed.label, feed.watch.authorize)
            access = said if isinstance(said, Access) else EVERYTHING
    forced = feed.view(granted.values_of(access.filter), access.columns)
    return View.of({**forced.filter, **wanted.filter}, forced.shown)


def _both(service: Service, feed: Feed, forced: View, wanted: View) -> View:
    """What is wanted, as far as it is within what is forced."""
    if not wanted.filter:
        return forced
    for name, values in wanted.filter.items():
        if not {*values} <= {*forced.filter.get(name, values)}:
            _refuse(service, feed, "filter", f"{NOT_YOURS}: {name}")
    try:
        return View.of({**forced.filter, **wanted.filter}, forced.shown)
    except ValueError as problem:  # too many combinations
        _refuse(service, feed, "query", str(problem), status=HTTPStatus.BAD_REQUEST)


def _tenure(service: Service, feed: Feed, access: Access, asked_at: float) -> Tenure:
    lifetime_s = service.settings.stream_lifetime_s
    ends_at = asked_at + lifetime_s * random.uniform(1 - LIFETIME_SHARE, 1)
    try:
        tag, left_s = granted.tag_of(access.tag), granted.seconds_left(access.until)
    except ValueError as problem:
        _mistake(service, feed, str(problem))
    if left_s <= 0:
        _refuse(service, feed, "expired")
    return Tenure(min(ends_at, asked_at + left_s), tag, asked_at)


# -- refusals -----------------------------------------------------------------------------------


def _mistake(service: Service, feed: Feed, what: str) -> NoReturn:
    """The application's: nobody reads until it is mended."""
    log.error("access cannot be granted", feed=feed.label, mistake=what)
    _refuse(service, feed, "mistake")


def _refuse(
    service: Service,
    feed: Feed,
    reason: str,
    text: str = NOT_YOURS,
    status: int = HTTPStatus.FORBIDDEN,
    **details: object,
) -> NoReturn:
    service.refusals.note(feed.label, reason, request.remote_addr or "", **details)
    abort(error(status, text))
