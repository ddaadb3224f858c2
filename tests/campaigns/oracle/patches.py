"""Changes classes of the server under test, where they are loaded for a test only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_before: list[tuple[Any, str, Any]] = []  # what was there, the oldest first


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replaces `owner.name` with what `make` makes of it; an error where there is no such name."""
    found = getattr(owner, name)
    _before.append((owner, name, found))
    setattr(owner, name, make(found))


@contextmanager
def undone() -> Iterator[None]:
    """What is patched inside is as it was afterwards."""
    kept = len(_before)
    try:
        yield
    finally:
        while len(_before) > kept:
            setattr(*_before.pop())
