"""Streams that can move to another process, and come from one: the books of a feed at either end.

It knows no protocol. Whoever moves streams takes them out, asks the other process, and then says
which have gone; the others are put back. What a stream is while it is out: see `transit.py`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import gevent

from poller.access.admission import Admission
from poller.access.turns import Turn
from poller.runtime import log
from poller.runtime.hub import in_slices
from poller.serving.drain import drain_retry_ms
from poller.serving.left import Left
from poller.serving.luggage import FEED_CHANGED, FULL, VIEW_UNKNOWN, Luggage, Unfit, size_of
from poller.serving.owned_socket import OwnedSocket
from poller.serving.socket_stream import SocketStream
from poller.serving.streams import StreamRequest, Streams
from poller.wire import sse

BATCH_BYTES = 128 * 1024  # of luggage: it has to fit into one message


class Shared(NamedTuple):
    """What a feed's streams share with others of their service: the places, and the `turn(address)`
    to catch up. `form()` is what a stream promises its client: see `luggage.py`."""

    admission: Admission
    turn: Callable[[str], Turn]
    form: Callable[[], str]


class MovableStreams(Streams):
    """Those of one feed in one process. Nothing moves before `share()`."""

    _shared: Shared | None = None

    def share(self, shared: Shared) -> None:
        """To be called once, by the service."""
        self._shared = shared

    @property
    def form(self) -> str:
        """What each of them has promised: with another one, none is taken."""
        return self._shared.form() if self._shared else ""

    @property
    def on_sockets(self) -> int:
        """How many could move, or are moving: those on sockets of ours."""
        return sum(isinstance(stream, SocketStream) for stream in self._open)

    # -- at the giver -----------------------------------------------------------------------

    def loosen(self) -> None:
        """Let busy streams stop by themselves, each at its next write, so that they can move. They
        go on with the next `put_back()`, also of none."""
        self._fanout.busy.loosen()

    @property
    def settled(self) -> bool:
        """Whether no stream is still writing."""
        return self._fanout.busy.settled

    def take_out(self, most: int) -> list[tuple[SocketStream, Luggage]]:
        """Streams that can move now, at most so many, and not more than fit into one message. Until
        they are `gone()` or `put_back()` they are counted, and nobody writes to them."""
        found: list[tuple[SocketStream, Luggage]] = []
        size, form = 0, self.form
        for stream, rest in self._fanout.transit.ready:
            if len(found) == most:
                break
            if (left := Left.of(stream, rest)) is None:
                self._fanout.busy.go_on(stream)
                continue
            luggage = self._pack(stream, left, form)
            if (own := size_of(luggage)) > BATCH_BYTES:
                self._fanout.busy.go_on(stream)
                continue
            if (size := size + own) > BATCH_BYTES:
                break
            self._fanout.transit.take(stream)
            self._tenures.over(stream)
            found.append((stream, luggage))
        return found

    def put_back(self, streams: Iterable[SocketStream]) -> None:
        """As if they had not been out: they are sent what came meanwhile, and busy ones go on,
        also those that were not taken."""
        self._fanout.busy.tighten()
        for stream in streams:
            opened = self._open[stream]
            self._fanout.transit.put_back(stream)
            if stream in self._open:
                self._tenures.begin(stream, opened.tenure.vouched(time.monotonic()))

    def gone(self, streams: Iterable[SocketStream]) -> None:
        """They live in another process now: close the copies here, and count them out."""
        for stream in streams:
            self._fanout.transit.gone(stream)
            opened = self._count_out(stream)
            log.debug("stream moved", feed=self._feed, client=opened.client)

    def drain(self, together: int, *, only_what_stays: bool = False) -> None:
        """As `Streams.drain()`, or only those that cannot move: bodies that a server writes."""
        if not only_what_stays:
            super().drain(together)
            return
        for stream in in_slices([*self._open]):
            if not isinstance(stream, SocketStream):
                stream.end("drain", sse.retry_line(drain_retry_ms(together)))

    def _pack(self, stream: SocketStream, left: Left, form: str) -> Luggage:
        opened, view = self._open[stream], stream.subscriber.view.view
        return Luggage(
            form,
            *left.standing,
            opened.client,
            stream.client.chunked,
            self._fanout.parked.written_at(stream),
            opened.at_s,
            left.rows,
            stream.sent_bytes,
            left.rest,
            left.owed,
            tuple(view.filter.items()),
            view.shown,
            *opened.tenure.vouched(time.monotonic()),
        )

    # -- at the taker -----------------------------------------------------------------------

    def adopt(self, client: socket.socket, luggage: Luggage) -> None:
        """Go on with a stream of another process; its client is told nothing of it.

        `client` is a plain socket, which is ours from here on. Raises Unfit for a stream that
        cannot go on here: then nothing has happened, and the socket is the caller's.
        """
        asked = self._fit(luggage)
        try:
            subscriber = self._subscriber(asked, self._fanout.signal, gevent.sleep)
        except ValueError:
            raise Unfit(VIEW_UNKNOWN) from None
        client.setblocking(False)  # as it is for both copies; Python keeps a note of its own
        owned = OwnedSocket(client, chunked=luggage.chunked, moved=luggage.owed)
        stream = SocketStream(subscriber, owned, self._release)
        subscriber.rows, stream.sent_bytes = luggage.rows, luggage.sent_bytes
        stream.written_at = luggage.written_at
        self._fanout.transit.bring(stream, luggage.rest)
        self._begin(stream, asked)
        self._open[stream] = self._open[stream]._replace(at_s=luggage.opened_at)
        self._fanout.transit.put_back(stream)

    def _fit(self, luggage: Luggage) -> StreamRequest:
        """What to open. Past the cap of the address, which it met when it began; not past the cap
        of all."""
        shared, standing, address = self._shared, luggage.standing, luggage.address
        if shared is None or luggage.form != self.form:
            raise Unfit(FEED_CHANGED)
        if shared.admission.taken >= shared.admission.most:
            raise Unfit(FULL)
        try:
            view = luggage.view
        except ValueError:
            raise Unfit(VIEW_UNKNOWN) from None
        ticket, turn = shared.admission.ticket(address), shared.turn(address)
        if standing.epoch:
            return StreamRequest(None, address, ticket, turn, view, luggage.tenure, standing)
        return StreamRequest(standing.holds, address, ticket, turn, view, luggage.tenure)
