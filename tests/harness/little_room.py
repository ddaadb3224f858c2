"""Tokens with room for few gaps, so that few ids have to be merged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from poller.ids import cursor_token, steps


@contextmanager
def little_room(most: int) -> Iterator[None]:
    """Tokens of at most so many characters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor_token, "ROOM_CHARS", 14)
        patch.setattr(cursor_token, "CHARS_AFTER_MERGE", most - 16)
        patch.setattr(cursor_token, "FEW_GAPS", 1)
        for module in (cursor_token, steps):
            patch.setattr(module, "MAX_TOKEN_CHARS", most)
            patch.setattr(module, "PLAIN_GAPS", 1)
        yield
