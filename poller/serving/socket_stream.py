"""A stream on a socket of ours: what the fan-out keeps for each, and how it is ended."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from poller.delivery.protocol import Reader
from poller.serving.owned_socket import OwnedSocket


class SocketStream:
    """One stream and its socket, whose response's head has been written.

    `release(stream)` is called when it is to be closed.
    """

    __slots__ = (
        "_release",
        "client",
        "closed_because",
        "farewell",
        "out",
        "sent_bytes",
        "slot",
        "subscriber",
        "written_at",
    )

    def __init__(
        self,
        subscriber: Reader,
        client: OwnedSocket,
        release: Callable[[SocketStream], None],
    ) -> None:
        self._release = release
        self.subscriber = subscriber
        self.client = client
        self.sent_bytes = 0
        self.written_at = 0.0  # monotonic; not counting batches, see `Audience.batch_at`
        self.slot: list[SocketStream] | None = None  # of the wheel
        self.closed_because = ""
        self.farewell: bytes | None = None
        self.out = False  # between two processes: see `transit.py`

    def end(self, reason: str, farewell: bytes | None = None) -> None:
        """End the stream, in good order with `farewell` as its last bytes, or without a word if it
        is None. The first reason counts."""
        if not self.closed_because:
            self.closed_because, self.farewell = reason, farewell
            self.subscriber.stopped = True
            self._release(self)

    def client_ended(self, reason: str) -> None:
        """`end()`, for the hub, where nothing may wait and nothing should take long. A client that
        only closed its sending side still gets an end in good order."""
        gevent.spawn(self.end, reason, b"")

    def cut(self) -> None:
        """End the connection under a write that waits."""
        if not self.out:
            self.client.cut()
