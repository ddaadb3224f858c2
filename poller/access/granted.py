"""What an application grants: to everybody, or to one request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

PUBLIC: Literal["public"] = "public"


@dataclass(frozen=True, slots=True)
class Access:
    """What one request may see of a feed, as `authorize(request)` returns it.

        Access(filter={"room": [7, 8]}, columns=["id", "text"], until=session_ends, tag=user.id)

    `filter` is by column the one value, or any of several, that a row must have (None is NULL); a
    client can narrow it and never widen it. `columns` are those of the feed's that are sent.
    `until` is when the stream ends: an aware datetime, or seconds since 1970. `tag` names whose it
    is, for `disconnect(tag=…)`. What is left out is not limited.
    """

    filter: Mapping[str, object] | None = None
    columns: Sequence[str] | None = None
    until: datetime | float | None = None
    tag: str | None = None


# Called with Flask's request.
Authorize = Callable[[Any], "bool | Access"]


def checked(authorize: Authorize | str | None) -> Authorize | Literal["public"] | None:
    """What an author says of who may read. Raises ValueError for anything that says nothing."""
    if authorize is None or authorize == PUBLIC:
        return authorize
    if callable(authorize):
        return authorize
    raise ValueError(
        f"authorize={authorize!r}: give a function that is called with the request and returns "
        'whether it may read, or "public" for a feed that is for everybody'
    )
