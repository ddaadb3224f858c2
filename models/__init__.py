"""The tables of the wall. They know SQLAlchemy and `poller.database`, and nothing of Flask."""

from models.post import Post, PostRow

__all__ = ["Post", "PostRow"]
