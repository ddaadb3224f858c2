"""The applications of the case `connect`, which `opening.py` starts.

`function` is a bare WSGI function, `view` a view of Flask, and `rowcast` are our feeds. The first
two write one frame and then wait, as a stream of their own would. gunicorn's worker patches the
standard library before it imports them.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response
from gevent.event import Event

from models.post import create_tables
from poller import Access, Notifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEADERS = [("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store")]
KEY = "a key for a benchmark only, of more than 32 bytes"
FRAME = b"retry: 2000\n\n"


def frames() -> Iterator[bytes]:
    yield FRAME
    Event().wait()


def function(_: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    return frames()


view = Flask("view")
view.secret_key = KEY  # as an application has that knows its users


@view.get("/stream")
def stream() -> Response:
    return Response(frames(), headers=HEADERS)


def may_read(request: Request) -> Access:
    """As an application would: who asks is in the request, and has some rows and a tag."""
    return Access(filter={"author": "bench"}, tag=request.headers.get("Authorization", ""))


def make_rowcast() -> Flask:
    app = Flask("rowcast")
    app.secret_key = KEY
    notifier = Notifier()
    of_posts: dict[str, Any] = {
        "columns": ["id", "author", "body", "created_at"],
        "filters": ["author"],
        "prepare": create_tables,
    }
    notifier.watch("posts", name="public", authorize="public", **of_posts)
    notifier.watch("posts", name="private", authorize=may_read, **of_posts)
    notifier.init_app(app, database=os.environ["DATABASE_URL"], health="public")
    return app


def __getattr__(name: str) -> Flask:
    """`rowcast` is made when gunicorn asks for it, since only that needs a database."""
    if name != "rowcast":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["rowcast"] = app = make_rowcast()
    return app
