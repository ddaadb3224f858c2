"""A stream without a server: a reader of what a feed of this process delivers.

It is the feed that a server has, poller, cursor and fence, and the reader is a `Subscriber` as any
client is: so a token names exactly the rows that were read, and resuming is as exact as for a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from gevent.event import Event as Signal

from poller.feed import Feed
from poller.wire.frames import COMMENT, Event, events


class Reader:
    """Reads a feed that polls. `last_event_id` is as a client sends it, None for "from now"."""

    def __init__(self, feed: Feed, last_event_id: str | None) -> None:
        self._log = feed.log
        self._signal = Signal()
        pause = self._signal.wait  # ends with `stop()`
        self._subscriber = feed.streams.reader(self._signal, last_event_id, pause)

    def batches(self) -> Iterator[list[Event]]:
        """What comes, as it comes, until `stop()`."""
        self._log.attach(self._signal)
        try:
            while not self.stopped:
                # Cleared before the look, so that nothing is missed between it and the wait.
                self._signal.clear()
                if chunk := self._subscriber.next_chunk():
                    yield [event for event in events(chunk) if event.kind != COMMENT]
                elif not self.stopped:
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
