"""Changes a class of the server under test, where it is loaded for a test only."""

from collections.abc import Callable
from typing import Any


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replaces `owner.name` with what `make` makes of it; an error where there is no such name."""
    setattr(owner, name, make(getattr(owner, name)))
