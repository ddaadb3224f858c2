"""Who may open a stream: the places of one worker, and how many of them one address may hold.

Invariant: a place is taken when a stream begins and given back once, however often its end is told.
Between `refusal()` and `take()` the application's own hooks run; if those wait for something, a
few streams more than the cap may begin.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from poller.access.address import single_client
from poller.runtime import log

# One address cannot fill a worker, and a school behind one address still finds room.
ADDRESS_SHARE = 4
FEWEST_PER_ADDRESS = 20  # the tabs of a household, on however small a worker
LOG_AGAIN_S = 60.0  # an address that is turned away asks again every few seconds


class Admission:
    """`most` places, of which one address may hold `per_address`; None: its share, 0: any number.

    `clock` is monotonic, in seconds; `of` is what the places are for, in the log. Each place is
    one of `within`, too, if that is given.
    """

    def __init__(
        self,
        most: int,
        per_address: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        of: str = "streams",
        within: Admission | None = None,
    ) -> None:
        self.most = most
        self.per_address = per_address
        if per_address is None:
            self.per_address = max(FEWEST_PER_ADDRESS, most // ADDRESS_SHARE)
        self.taken = 0
        self.by_client: Counter[str] = Counter()
        self._clock = clock
        self._of = of
        self._within = within
        self._said_hidden = False
        self._log_at = float("-inf")

    def refusal(self, remote_addr: str | None) -> str | None:
        """Why this address gets no place now: `full`, `address`; None if it gets one."""
        if self._within and (reason := self._within.refusal(remote_addr)):
            return reason
        if self.taken >= self.most:
            return "full"
        client = single_client(remote_addr)
        if self.per_address and client and self.by_client[client] >= self.per_address:
            self._log_full(client)
            return "address"
        return None

    def ticket(self, remote_addr: str | None) -> Ticket:
        """For a place that is not taken yet. Ask `refusal()` before."""
        return Ticket(self, single_client(remote_addr))

    @contextmanager
    def place(self, remote_addr: str | None) -> Iterator[bool]:
        """Whether this address gets a place; it is taken while the block runs."""
        if self.refusal(remote_addr):
            yield False
            return
        ticket = self.ticket(remote_addr)
        ticket.take()
        try:
            yield True
        finally:
            ticket.free()

    def count(self, client: str | None, change: int) -> None:
        """For `Ticket`: one place more, or one less."""
        self.taken += change
        if self._within:
            self._within.count(client, change)
        if client:
            self.by_client[client] += change
            if not self.by_client[client]:
                del self.by_client[client]  # or the memory of everyone who ever came stays

    def note_forwarded(self, remote_addr: str | None) -> None:
        """For a request with a proxy's headers, which the application did not believe: behind a
        proxy on this machine nobody is told apart, and no cap holds. Said once."""
        if single_client(remote_addr) is None and self.per_address and not self._said_hidden:
            self._said_hidden = True
            log.warning(
                "clients come through a proxy that is not configured, and count as one",
                address=remote_addr or "",
                what_to_do="set ROWCAST_PROXIES, or use ProxyFix, so that each address has its cap",
            )

    def _log_full(self, client: str) -> None:
        """For the operator, who may have a proxy that was not configured."""
        if self._clock() < self._log_at:
            return
        self._log_at = self._clock() + LOG_AGAIN_S
        log.warning(
            "an address has all that it may have",
            of=self._of,
            address=client,
            most=self.per_address,
            what_to_do="if it is a proxy of yours, set ROWCAST_PROXIES; if many people share it, "
            "raise ROWCAST_MAX_STREAMS_PER_ADDRESS",
        )


class Ticket:
    """One stream's right to a place: taken when the stream begins, freed when it has ended."""

    __slots__ = ("_admission", "_client", "_held")

    def __init__(self, admission: Admission, client: str | None) -> None:
        self._admission = admission
        self._client = client
        self._held = False

    def take(self) -> None:
        """A second call does nothing."""
        if not self._held:
            self._held = True
            self._admission.count(self._client, 1)

    def free(self) -> None:
        """Twice, or before it was taken, does nothing."""
        if self._held:
            self._held = False
            self._admission.count(self._client, -1)
