"""The times that stand in rows: when each was made, by its own words.

Rows that are made seconds apart and come together waited for each other. Only differences between
times of one column count, so no clock has to be right; only rows that are younger than the look
count, since older ones are sent together by right. Pure.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from poller.probing.frames import Frame, Lump

SPREAD_S = 1.0  # times in a table may have whole seconds only
ALLOWANCE_S = 1.0  # the header Date has whole seconds
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_MS_FROM = 100_000_000_000  # a number above this is in milliseconds: of 1973, or of the year 5138


class OldRows(NamedTuple):
    """The rows of one lump, and for how long they were made by the times in the column `name`."""

    name: str
    spread_s: float


def lumps_of_old_rows(lumps: Sequence[Lump], date: str) -> list[OldRows]:
    """Those lumps whose rows are younger than `date` (of the header, empty if unknown) and were not
    made together."""
    opened_s = _opened_s(date)
    if opened_s is None:
        return []
    found = (_spread(lump.frames, opened_s - ALLOWANCE_S) for lump in lumps)
    return [one for one in found if one is not None and one.spread_s > SPREAD_S]


def _spread(frames: Sequence[Frame], after_s: float) -> OldRows | None:
    """By the column that tells the least: others may hold times of something else."""
    columns: dict[str, list[float]] = defaultdict(list)
    for frame in frames:
        for name, at_s in _times(frame.data):
            columns[name].append(at_s)
    spreads = [
        OldRows(name, max(times) - min(times))
        for name, times in columns.items()
        if len(times) == len(frames) > 1 and min(times) >= after_s
    ]
    return min(spreads, key=lambda one: one.spread_s, default=None)


def _times(data: str) -> Iterator[tuple[str, float]]:
    try:
        row = json.loads(data)
    except ValueError:
        return
    for name, value in row.items() if isinstance(row, dict) else ():
        if (at_s := _time(value)) is not None:
            yield name, at_s


def _time(value: Any) -> float | None:
    """In seconds since 1970; one without a zone is taken for UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000 if value > _MS_FROM else float(value)
    if not isinstance(value, str) or not _ISO.match(value):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _opened_s(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
