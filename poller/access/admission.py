"""Who may open a stream: the places of one worker, and how many of them one address may hold.

Invariant: a place is taken when a stream begins and given back once, however often its end is told.
Between `refusal()` and `take()` the response's head is written; should that wait, as on a
connection that is full already, a few streams more than the cap may begin.
"""

from __future__ import annotations

import time
from collections import Counter

from poller.access.address import single_client
from poller.runtime.log import tell

# One address can fill no worker, and a school behind one address still finds room.
ADDRESS_SHARE = 4
FEWEST_PER_ADDRESS = 20  # the tabs of a household, on however small a worker
SAY_AGAIN_S = 60.0  # an address that is turned away asks again every few seconds


class Slots:
    """`most` places, of which one address may hold `per_address`; None: its share, 0: any."""

    def __init__(self, most: int, per_address: int | None = None) -> None:
        self.most = most
        self.per_address = per_address
        if per_address is None:
            self.per_address = max(FEWEST_PER_ADDRESS, most // ADDRESS_SHARE)
        self.taken = 0
        self.by_client: Counter[str] = Counter()
        self._say_at = 0.0

    def refusal(self, remote_addr: str | None) -> str | None:
        """Why this address gets no place now: `full`, `address`; None where it does."""
        if self.taken >= self.most:
            return "full"
        client = single_client(remote_addr)
        if self.per_address and client and self.by_client[client] >= self.per_address:
            self._say(client)
            return "address"
        return None

    def slot(self, remote_addr: str | None) -> Slot:
        """A place for this address, not taken yet. Ask `refusal()` before."""
        return Slot(self, single_client(remote_addr))

    def count(self, client: str | None, change: int) -> None:
        """For `Slot`: one place more, or one less."""
        self.taken += change
        if client:
            self.by_client[client] += change
            if not self.by_client[client]:
                del self.by_client[client]  # or the memory of all who ever came stays

    def _say(self, client: str) -> None:
        """To the operator, who may have a proxy that was not configured."""
        if time.monotonic() < self._say_at:
            return
        self._say_at = time.monotonic() + SAY_AGAIN_S
        tell(
            "warning",
            "an address has all the streams it may have",
            address=client,
            streams=self.per_address,
            what_to_do="if it is a proxy of yours, set ROWCAST_PROXIES; if many people share it, "
            "raise ROWCAST_MAX_STREAMS_PER_ADDRESS",
        )


class Slot:
    """One stream's place: taken when it begins, free when it has ended."""

    __slots__ = ("_client", "_held", "_slots")

    def __init__(self, slots: Slots, client: str | None) -> None:
        self._slots = slots
        self._client = client
        self._held = False

    def take(self) -> None:
        """Twice does nothing."""
        if not self._held:
            self._held = True
            self._slots.count(self._client, 1)

    def free(self) -> None:
        """Twice, or before it was taken, does nothing."""
        if self._held:
            self._held = False
            self._slots.count(self._client, -1)
