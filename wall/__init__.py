"""The wall: a page to post on, kept live by the notifier in `poller`.

Importing it patches nothing and starts nothing; `create_app()` only puts the parts together. That
the standard library is patched first is the business of `app.py` and `gunicorn.conf.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask

from models import Post
from poller import Database, Notifier
from wall import atom, brand, changes, errors, posts, rate, screen, security
from wall.current import Wall
from wall.links import linked
from wall.moderation import Moderation
from wall.secret import read_or_make
from wall.settings import PROJECT, WallSettings
from wall.table import Table

__all__ = ["create_app"]

# Of a post, to everybody: what its page shows, and nothing else.
SHOWN = ["id", "author", "body", "created_at", "via", "edited_at", "version"]
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
    app.add_template_filter(size)
    app.add_template_filter(way)
    app.add_template_filter(linked)
    security.install(app, settings)
    errors.install(app)
    brand.install(app, settings)

    database = Database(settings.database(), query_timeout_s=settings.query_timeout_s)
    notifier = Notifier()
    table = Table()
    watch_posts(notifier, table)
    notifier.init_app(app, database=database, settings=settings, default_feed="posts")

    moderation = Moderation(settings.moderator_token, app.secret_key, rate.guesses())
    app.extensions["wall"] = Wall(
        database, table, notifier, settings, rate.posts(settings.post_rate), moderation
    )
    app.register_blueprint(posts.blueprint)
    app.register_blueprint(changes.blueprint)
    app.register_blueprint(screen.blueprint)
    app.register_blueprint(atom.blueprint)
    return app


def watch_posts(notifier: Notifier, table: Table) -> None:
    """The feed of the wall: posts as they are now, and which were removed."""
    notifier.watch(
        Post,
        columns=SHOWN,
        authorize="public",
        version="version",
        deleted="deleted_at",
        prepare=table.prepare,
    )


def hue(author: str) -> int:
    """The colour of an author's disc; static/posts.js counts the same."""
    return sum(map(ord, author)) % HUES


def size(body: str) -> str:
    """How large the screen shows a text: by its length; static/screen.js says the same."""
    steps = {"s": 40, "m": 120, "l": 280}  # characters
    return next((name for name, longest in steps.items() if len(body) <= longest), "xl")


def iso(moment: datetime) -> str:
    """As <time datetime> and JSON have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def way(via: str | None) -> str:
    """The badge: by which way a post came, if not by the form. static/posts.js says the same."""
    names = {None: "", "": "", "form": "", "sql": "via SQL", "api": "via API"}
    return names.get(via, f"via {via}")
