"""The applications of the case `connect`, which `opening.py` starts: what a connect is compared with.

`function` is a bare WSGI function, `view` a view of Flask, and `rowcast` are our feeds. The first
two write one frame and then wait, as a stream of their own would.
"""

from gevent import monkey

monkey.patch_all()  # before Flask and the database's driver are imported

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask import Flask, Request, Response
from gevent.event import Event

from models.post import create_tables
from poller import Access, Notifier

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEADERS = [("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-store")]
FRAME = b"retry: 2000\n\n"


def frames() -> Iterator[bytes]:
    yield FRAME
    Event().wait()


def function(_: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    start_response("200 OK", HEADERS)
    return frames()


view = Flask("view")


@view.get("/stream")
def stream() -> Response:
    return Response(frames(), headers=HEADERS)


def may_read(request: Request) -> Access:
    """As an application would: who asks is in the request, and has some rows and a tag."""
    return Access(filter={"author": "bench"}, tag=request.headers.get("Authorization", ""))


def make_rowcast() -> Flask:
    app = Flask("rowcast")
    app.secret_key = "a key for a benchmark only, of 32 bytes"
    notifier = Notifier()
    columns = ["id", "author", "body", "created_at"]
    for name, authorize in (("public", "public"), ("private", may_read)):
        notifier.watch(
            "posts",
            name=name,
            columns=columns,
            authorize=authorize,
            filters=["author"],
            prepare=create_tables,
        )
    notifier.init_app(app, database=os.environ["DATABASE_URL"], health="public")
    return app


def __getattr__(name: str) -> Flask:
    """`rowcast` is made when gunicorn asks for it, since only that needs a database."""
    if name != "rowcast":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["rowcast"] = app = make_rowcast()
    return app
