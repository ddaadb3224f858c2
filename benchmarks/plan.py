"""How much is measured: `FULL` for the document, `SHORT` for the test that the harness works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.contenders import NAMES


@dataclass(frozen=True)
class Plan:
    """Counts are streams or rows, times seconds."""

    contenders: tuple[str, ...] = NAMES
    streams: tuple[int, ...] = (100, 1_000, 5_000, 15_000)
    one_row_s: float = 8.0  # rows, each alone, to every size
    idle_s: float = 3.0  # of nothing, beside that
    burst_streams: int = 1_000
    burst_rows_per_s: int = 1_000
    burst_s: float = 30.0
    burst_others_s: float = 10.0  # for those who cannot keep up, whose rate is all that counts
    settle_s: float = 15.0  # for what is still on its way after that
    heartbeat_streams: int = 15_000
    heartbeat_s: float = 31.0  # two heartbeats of 15 s
    storm_streams: int = 5_000
    storm_s: float = 15.0  # before; and after, at most twice that
    query_streams: tuple[int, ...] = (1, 1_000, 5_000, 15_000)
    query_s: float = 8.0
    poll_s: float = 8.0
    hub_streams: int = 15_000
    hub_batches: int = 8
    hub_batch_rows: tuple[int, ...] = (1, 50)
    slow_each: int = 500  # that never read; as many read 1 KB/s
    slow_normal: int = 1_000
    slow_rows_per_s: int = 200
    slow_s: float = 20.0
    slow_deadline_s: float = 30.0  # ROWCAST_WRITE_DEADLINE
    slow_after_s: float = 20.0  # from then until those who never read are gone for sure
    page_streams: int = 10_000
    page_rows_per_s: int = 100
    page_s: float = 15.0
    fence_passes: int = 200
    fence_writers: tuple[int, ...] = (0, 200)

    def only(self, names: Sequence[str]) -> Plan:
        """The same with these contenders; with none named, all."""
        return replace(self, contenders=tuple(names)) if names else self


FULL = Plan()
SHORT = Plan(
    streams=(5, 20),
    one_row_s=0.5,
    idle_s=0.1,
    burst_streams=10,
    burst_rows_per_s=100,
    burst_s=1.0,
    burst_others_s=1.0,
    settle_s=5.0,
    heartbeat_streams=10,
    heartbeat_s=1.0,
    storm_streams=20,
    storm_s=1.0,
    query_streams=(1, 10),
    query_s=1.0,
    poll_s=1.0,
    hub_streams=20,
    hub_batches=1,
    hub_batch_rows=(1, 5),
    slow_each=2,
    slow_normal=5,
    slow_rows_per_s=20,
    slow_s=1.0,
    slow_deadline_s=1.0,
    slow_after_s=0.2,
    page_streams=10,
    page_rows_per_s=20,
    page_s=1.0,
    fence_passes=5,
    fence_writers=(0,),
)
