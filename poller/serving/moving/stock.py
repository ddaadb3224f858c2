"""What this worker could give to another one, and what it has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from poller.access.admission import Admission
from poller.serving.moving.protocol import VERSION, Hello, Key, State
from poller.serving.socket_stream import SocketStream

Taken = Sequence[tuple[SocketStream, Any]]  # a stream and its luggage


class Movable(Protocol):
    """The streams of one feed: `poller.serving.streams.Streams`."""

    @property
    def form(self) -> str: ...
    @property
    def on_sockets(self) -> int:
        """How many could move, or move now: those on sockets of ours."""

    def __len__(self) -> int: ...
    def loosen(self) -> None: ...
    def take_out(self, most: int) -> Taken: ...
    def put_back(self, streams: Sequence[SocketStream]) -> None: ...
    def gone(self, streams: Sequence[SocketStream]) -> None: ...
    def adopt(self, client_socket: Any, luggage: Any) -> None: ...
    @property
    def settled(self) -> bool: ...


class Shelf(NamedTuple):
    """A feed's streams, and its name in logs and metrics."""

    label: str
    streams: Movable


class Holder(Protocol):
    """One application's service, as far as its streams move: `poller.service.Service`."""

    url_prefix: str
    draining: bool
    admission: Admission

    @property
    def ready(self) -> bool: ...
    def shelves(self) -> dict[str, Shelf]: ...


class Stock:
    """All services of this process. `ending()`: this worker was told to end."""

    def __init__(self, holders: Callable[[], Sequence[Holder]], ending: Callable[[], bool]) -> None:
        self._holders = holders
        self._ending = ending
        self._promised: Counter[str] = Counter()  # by prefix: of batches that are on their way

    def __len__(self) -> int:
        """How many streams could move, or move now."""
        return sum(one.streams.on_sockets for one in self.shelves().values())

    @property
    def state(self) -> State:
        holders = self._by_prefix().values()
        if self._ending() or not holders or any(one.draining for one in holders):
            return State.NEVER
        return State.READY if all(one.ready for one in holders) else State.SOON

    def hello(self) -> Hello:
        room = {prefix: self.room(prefix) for prefix in self._by_prefix()}
        return Hello(VERSION, self.state, len(self), room, [*self.shelves()])

    def shelves(self) -> dict[Key, Shelf]:
        """By what both workers call the feed. A quoted name is a text of a class of its own."""
        return {
            (prefix, str(name), shelf.streams.form): shelf
            for prefix, holder in self._by_prefix().items()
            for name, shelf in holder.shelves().items()
        }

    def room(self, prefix: str) -> int:
        """For how many more streams there is a place."""
        holder = self._by_prefix().get(prefix)
        if holder is None:
            return 0
        return max(0, holder.admission.most - holder.admission.taken - self._promised[prefix])

    @contextmanager
    def promised(self, prefix: str, streams: int) -> Iterator[None]:
        """Inside, these places are for nobody else who wants to give."""
        self._promised[prefix] += streams
        try:
            yield
        finally:
            self._promised[prefix] -= streams

    def _by_prefix(self) -> dict[str, Holder]:
        """Two with the same prefix, as of two mounted applications, cannot be told apart."""
        holders = self._holders()
        prefixes = Counter(one.url_prefix for one in holders)
        return {one.url_prefix: one for one in holders if prefixes[one.url_prefix] == 1}
