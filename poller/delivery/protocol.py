"""What the sockets need of a log and of a subscriber, whichever engine they are of.

There are two: `EventLog` and `Subscriber` for rows in the order of a cursor, `WindowLog` and
`WindowSubscriber` (`poller/window/`) for the newest rows of a query. Fanout, streams, answers of
`/rows` and handlers know no more of them than this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gevent.event import Event

from poller.delivery.entry import Batch, Placed
from poller.delivery.standing import Standing
from poller.delivery.view import View
from poller.delivery.view_index import OpenView, ViewIndex


class Log(Protocol):
    """Frames in a ring, each at its seq. No method yields.

    Every change sets the listeners. `key` are the columns that tell rows apart, where rows may
    change. `generation` is another one once no seq of before means anything.
    """

    key: tuple[str, ...]
    ready: bool
    head: int
    generation: int
    views: ViewIndex

    @property
    def oldest(self) -> int: ...
    def attach(self, listener: Event, opened: OpenView | None = None) -> None: ...
    def detach(self, listener: Event, opened: OpenView | None = None) -> None: ...
    def open(self, view: View) -> OpenView: ...
    def part(self, seq: int, max_bytes: int) -> Sequence[Placed[Any]]: ...
    def batch(
        self, opened: OpenView, rows: Iterable[Placed[Any]], first: int, max_bytes: int
    ) -> Batch: ...


class Reader(Protocol):
    """One client's position. `rows` counts what it was sent; once it is `stopped`, nothing more is
    done for it."""

    rows: int
    stopped: bool

    @property
    def view(self) -> OpenView: ...
    @property
    def is_live(self) -> bool:
        """Whether the next batch of its view is what it lacks."""

    def next_chunk(self) -> bytes:
        """What is there to send, empty where there is nothing now; the log then sets a signal."""

    def chunk_at_once(self) -> bytes | None:
        """The same, None where that might wait or give others a turn."""

    def advance(self, batch: Batch) -> bool:
        """Count a batch as sent, if it is what a live client lacks."""

    def position(self) -> bytes:
        """A frame with its id, if that moved on since the last it was sent."""

    def standing(self, frame_id: str | None = None) -> Standing | None:
        """Where it stands, for another process; after the frame with this id, if that is given.
        None if nobody can say now."""
