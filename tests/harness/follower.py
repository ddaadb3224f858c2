"""One worker's poller on a real table, one pass at a time, in this process."""

from typing import Any, Self

from poller.delivery.event_log import EventLog
from poller.polling.loop import Poller
from poller.reading.database import Database
from poller.reading.source import Source
from poller.reading.table import Table
from poller.runtime.settings import Settings

PASSES = 6  # more than any gap takes that can be settled at once


class Follower:
    """`with Follower(url) as follower`; what its streams would have been sent, in order.

    `grace_s` is by default longer than any test.
    """

    def __init__(
        self,
        url: str,
        table: str = "notes",
        *,
        grace_s: float = 3600.0,
        history_rows: int = 1000,
        **options: Any,
    ) -> None:
        self.database = Database(url)
        settings = Settings(history_rows=history_rows)
        self.source = Source(Table(table, grace_s=grace_s, **options), self.database, settings)
        self.log = EventLog(10_000, 10_000_000)
        self.poller = Poller(table, self.source, self.log, settings, lambda: True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def poll(self, passes: int = 1) -> list[int]:
        """The ids that these passes brought."""
        before = self.log.head
        for _ in range(passes):
            self.poller.poll()
        return [entry.row_id for entry in self.log.entries(before, self.log.head)]

    def settle(self) -> list[int]:
        return self.poll(PASSES)

    def gaps(self) -> list[tuple[int, int]]:
        """Those that are open."""
        return [*self.log.cursor.gaps]

    @property
    def degraded(self) -> str:
        return "; ".join(map(str, self.source.table.facts.exceptions))
