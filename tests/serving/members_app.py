"""An application with members: each reads the notes with a session, which a logout ends.

A session is a file in the folder MEMBERS, so all workers know which there are. Its token is a
cookie or a header. ORIGINS lists other sites. Below /short the streams live for a second, above for
longer than any test.
"""

import os
import secrets
from pathlib import Path

from flask import Flask, Request, Response, abort, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from poller import Access, Database, Notifier, Settings

SESSIONS = Path(os.environ["MEMBERS"])
LONG_S, SHORT_S = 3600, 1


def session_of(asked: Request) -> Path:
    token = asked.headers.get("Authorization") or asked.cookies.get("session", "")
    return SESSIONS / (token if token.isalnum() else "none")


def may_read(asked: Request) -> Access:
    try:
        name = session_of(asked).read_text()
    except OSError:
        abort(401)
    return Access(tag=name)


def make(lifetime_s: float) -> Flask:
    app = Flask(__name__)
    app.secret_key = os.environ["SECRET_KEY"]
    notifier = Notifier(authorize=may_read)
    notifier.watch("notes", columns=["id", "body"])
    settings = Settings.from_env().with_changes(stream_lifetime_s=lifetime_s)
    database, origins = Database(settings.database_url), os.environ.get("ORIGINS", "").split()
    notifier.init_app(app, database=database, settings=settings, origins=origins)

    @app.get("/address")
    def address() -> str:
        return notifier.url_for("notes", expires_s=600, _external=True)

    @app.post("/login/<name>")
    def login(name: str) -> str:
        token = secrets.token_hex(8)
        SESSIONS.joinpath(token).write_text(name)
        return token

    @app.post("/logout")
    def logout() -> Response:
        """Of all the sessions that this member has."""
        name = session_of(request).read_text()
        for session in SESSIONS.iterdir():
            if session.read_text() == name:
                session.unlink()
        if "keep" not in request.args:
            notifier.disconnect(name)
        return Response(status=204)

    return app


app = make(LONG_S)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/short": make(SHORT_S)})  # type: ignore[method-assign]
