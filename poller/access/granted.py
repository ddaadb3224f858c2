"""What an application grants: to everybody, or to one request."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

PUBLIC: Literal["public"] = "public"
MOST_TAG_CHARS = 255
SEVERAL = (list, tuple, set, frozenset)  # any of these values; a text is one value


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
    tag: str | int | UUID | None = None


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


def values_of(filter: Mapping[str, object] | None) -> dict[str, list[Any]]:  # noqa: A002
    """The values of each column, whether one or several were said. Raises ValueError for a filter
    that is none."""
    if filter is None:
        return {}
    if not isinstance(filter, Mapping):
        raise ValueError(  # noqa: TRY004 - one error for whatever the application gets wrong
            f"filter is {type(filter).__name__}: give a dict of columns and values"
        )
    return {name: [*said] if isinstance(said, SEVERAL) else [said] for name, said in filter.items()}


def tag_of(tag: object) -> str:
    """A tag as it is compared: 7 and "7" are the same. Raises ValueError for what is no name."""
    if tag is None:
        return ""
    if isinstance(tag, bool) or not isinstance(tag, str | int | UUID):
        raise ValueError(  # noqa: TRY004 - as above
            f"tag is {type(tag).__name__}: give a text or a number"
        )
    if not 0 < len(text := str(tag)) <= MOST_TAG_CHARS:
        raise ValueError(f"tag has {len(text)} characters: give 1 to {MOST_TAG_CHARS}")
    return text


def now() -> float:
    """Seconds since 1970, as an application means them that says when something ends."""
    return time.time()


def seconds_left(until: object) -> float:
    """Until the end. Raises ValueError for what is no moment."""
    if until is None:
        return math.inf
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise ValueError("until has no time zone: give an aware datetime")
        until = until.timestamp()
    if isinstance(until, bool) or not isinstance(until, int | float) or math.isnan(until):
        raise ValueError(f"until is {type(until).__name__}: give a datetime, or seconds since 1970")
    return until - now()
