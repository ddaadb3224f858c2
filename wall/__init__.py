"""The wall: a page to post on, kept live by the notifier in `poller`.

Importing it patches nothing and starts nothing; `create_app()` only puts the parts together. That
the standard library is patched first is the business of `app.py` and `gunicorn.conf.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask

from models import Post
from models.post import create_tables
from poller import Database, Notifier
from wall import errors, posts, security
from wall.rate import limited_posts
from wall.secret import read_or_make
from wall.settings import PROJECT, WallSettings

__all__ = ["create_app"]

HUES = 12  # colours of the authors' discs; as many as in static/wall.css


def create_app(settings: WallSettings | None = None) -> Flask:
    """The wall with its stream. Settings come from the environment when none are given.

    Raises SettingsError for a setting that cannot be used. Makes no connection.
    """
    settings = settings or WallSettings.from_env()
    app = Flask(
        __name__,
        template_folder=str(PROJECT / "templates"),
        static_folder=str(PROJECT / "static"),
    )
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.secret_key = settings.secret_key or read_or_make(settings.folder() / "secret_key")
    app.add_template_filter(hue)
    app.add_template_filter(iso)
    security.install(app, settings)
    errors.install(app)

    database = Database(settings.database(), query_timeout_s=settings.query_timeout_s)
    notifier = Notifier()
    columns = ["id", "author", "body", "created_at"]
    notifier.watch(Post, columns=columns, authorize="public", prepare=create_tables)
    notifier.init_app(app, database=database, settings=settings, default_feed="posts")

    count_post = limited_posts(settings.post_rate)
    app.extensions["wall"] = posts.Wall(database, notifier, settings, count_post)
    app.register_blueprint(posts.blueprint)
    return app


def hue(author: str) -> int:
    """The colour of an author's disc; static/posts.js counts the same."""
    return sum(map(ord, author)) % HUES


def iso(moment: datetime) -> str:
    """As <time datetime> and JSON have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
