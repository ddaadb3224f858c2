"""Is it the URL of a database at all?"""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def checked_url(url: str) -> str:
    """The URL, if it can be read as one. Raises ValueError, without the URL: it may hold a
    password."""
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(
            "not a database URL; write sqlite:///path, postgresql://user:password@host/name "
            "or mysql://user:password@host/name"
        ) from None
    return url
