"""What a finding is, and what the findings are made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from poller.probing.cures import Problem
from poller.probing.frames import Body, Frame, body_of
from poller.probing.observed import Answer, Observed

# UNKNOWN: it could not be seen this time.
State = Literal["ok", "attention", "unknown"]
EVENT_STREAM = "text/event-stream"
GOOD = 200
OUR_EVENTS = ("start", "live", "position")  # of Rowcast, about the stream and not about a row


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: a sentence, how it is known, and what to do. `problem` names
    the lines of a proxy's configuration that would cure it."""

    name: str
    state: State
    sentence: str
    evidence: str = ""
    next: str = ""
    problem: Problem | None = None


@dataclass(frozen=True)
class Seen:
    """What was observed, and the first answer's body read."""

    observed: Observed

    @cached_property
    def body(self) -> Body:
        return read(self.observed.first)

    @property
    def is_stream(self) -> bool:
        """Whether a browser would read it as one."""
        first = self.observed.first
        return first.status == GOOD and media_type(first.header("Content-Type")) == EVENT_STREAM

    @property
    def is_ours(self) -> bool:
        """Whether Rowcast sends it: its first event tells."""
        return started(self.body) is not None

    @property
    def rows(self) -> list[Frame]:
        """The events, but for those of Rowcast that are about the stream itself."""
        return rows_of(self.body, ours=self.is_ours)


def read(answer: Answer) -> Body:
    """The body of an answer."""
    return body_of(answer.arrivals, answer.header("Content-Encoding"))


def media_type(content_type: str) -> str:
    """Without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def started(body: Body) -> dict[str, Any] | None:
    """What the `start` of a Rowcast stream says, None if there is none."""
    for frame in body.frames[:1]:
        data = _json(frame.data)
        if frame.event == "start" and isinstance(data, dict) and "resumed" in data:
            return data
    return None


def rows_of(body: Body, *, ours: bool) -> list[Frame]:
    return [frame for frame in body.frames if not (ours and frame.event in OUR_EVENTS)]


def seconds(span_s: float) -> str:
    """For people."""
    for unit, size, digits in (("s", 1, 1), ("ms", 0.001, 0)):
        if round(span_s, 3) >= size:
            return f"{span_s / size:.{digits}f} {unit}"
    return "less than 1 ms"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
