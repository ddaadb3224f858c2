"""A stream without a server: one table's feed, and a reader of what it delivers, in this process.

It is the feed that a server has, poller, cursor and fence, and the reader is a `Subscriber` as any
client is: so a token names exactly the rows that were read, and resuming is as exact as for a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gevent.event import Event

from poller.delivery.backfill import Backfill
from poller.delivery.subscriber import Subscriber
from poller.feed import Feed

ROW = ""  # the event of a row has no name


class Frame(NamedTuple):
    """One event: its name, its data (a line of JSON), and the token of what was read up to it."""

    event: str
    data: str
    token: str


class Reader:
    """Reads a feed that polls. `last_event_id` is as a client sends it, None for "from now"."""

    def __init__(self, feed: Feed, batch_rows: int, last_event_id: str | None) -> None:
        self._log = feed.log
        self._signal = Event()
        backfill = Backfill(feed.name, feed.source.page, batch_rows, lambda: feed.log.epochs)
        self._subscriber = Subscriber(
            feed.name,
            feed.log,
            backfill,
            last_event_id,
            self._signal,
            feed.problem,
            self._signal.wait,  # ends with `stop()`
        )

    def batches(self) -> Iterator[list[Frame]]:
        """What comes, as it comes, until `stop()`."""
        self._log.attach(self._signal)
        try:
            while not self._subscriber.stopped:
                # Cleared before the look, so that nothing is missed between it and the wait.
                self._signal.clear()
                if frames := [*_frames(self._subscriber.next_chunk())]:
                    yield frames
                elif not self._subscriber.stopped:
                    self._signal.wait()
        finally:
            self._log.detach(self._signal)

    @property
    def stopped(self) -> bool:
        return self._subscriber.stopped

    def stop(self) -> None:
        """End `batches()`; it may be called from a signal handler."""
        self._subscriber.stopped = True
        self._signal.set()


def _frames(chunk: bytes) -> Iterator[Frame]:
    """Of whole frames and comments, in the form in which `wire/sse.py` writes them."""
    for text in chunk.decode().split("\n\n"):
        lines = [line.split(": ", 1) for line in text.split("\n")]
        fields = {line[0]: line[1] for line in lines if len(line) == 2}  # a comment has no name
        if "data" in fields:
            yield Frame(fields.get("event", ROW), fields["data"], fields.get("id", ""))
