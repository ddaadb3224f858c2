"""What a browser's page would hold: everything that a client received since the last reset.

A page begins with a place (a frame with nothing but an id): the set of rows that it starts from.
It lives through any number of connections; a `reset` ends it, and the next one begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poller.ids.cursor import Cursor
from tests.campaigns.oracle.records import Attempt, ClientRecord, Frame


@dataclass
class Page:
    """`start` is None until the first place came, and for ever where none did."""

    number: int
    start: Cursor | None = None
    started_s: float = 0.0
    rows: list[Frame] = field(default_factory=list)
    last_event_id: str = ""
    reset: Frame | None = None  # what ended it

    @property
    def payloads(self) -> set[str]:
        return {frame.payload for frame in self.rows}

    @property
    def claimed(self) -> Cursor:
        """What the client will say that it holds, when it comes back."""
        return cursor_of(self.last_event_id) if self.last_event_id else Cursor()

    def must_have(self, row_id: int, attempt: Attempt) -> bool:
        """Whether a row of this page's history had to reach it: it was not among the rows that
        the page started from, or its commit began after that."""
        if self.start is None:
            return False
        return row_id not in self.start or attempt.began_s > self.started_s


def cursor_of(event_id: str) -> Cursor:
    return Cursor.parse(event_id.partition(".")[2])


def pages_of(client: ClientRecord) -> list[Page]:
    """The client's pages in the order of time; the last one is still open."""
    return list(_pages(client))


def _pages(client: ClientRecord) -> Iterator[Page]:
    page = Page(0)
    for frame in client.frames:
        if frame.kind == "reset":
            page.reset = frame
            yield page
            page = Page(page.number + 1)
            continue
        page.last_event_id = frame.event_id or page.last_event_id
        if frame.kind == "row":
            page.rows.append(frame)
        elif page.start is None:
            page.start, page.started_s = cursor_of(frame.event_id), frame.at_s
    yield page
