"""How much is measured: `FULL` for the page, `SHORT` to see that everything works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.contenders import NAMES


@dataclass(frozen=True)
class Plan:
    """Counts are streams or rows; times are seconds."""

    contenders: tuple[str, ...] = NAMES
    streams: tuple[int, ...] = (100, 1_000, 5_000, 15_000)
    one_row_s: float = 8.0  # rows, each alone, to every number of streams
    pages_rows: int = 8  # while health checks are timed
    burst_streams: int = 1_000
    burst_rows_per_s: int = 1_000
    burst_s: float = 30.0
    burst_others_s: float = 10.0  # for contenders that cannot keep up: only their rate counts
    settle_s: float = 15.0  # for what is still on its way after that
    connect_streams: int = 3_000
    connect_rounds: int = 3  # fresh servers in each
    storm_streams: int = 20_000
    storm_s: float = 15.0  # before, and from the signal on
    reload_streams: int = 10_000
    reload_rows_per_s: int = 100
    reload_s: float = 8.0  # of rows, after each signal
    reload_times: int = 10
    slow_each: int = 500  # that never read; as many read 1 KB/s
    slow_normal: int = 1_000
    slow_rows_per_s: int = 200
    slow_s: float = 20.0
    slow_deadline_s: float = 30.0  # ROWCAST_WRITE_DEADLINE
    slow_after_s: float = 20.0  # from the deadline until every client that never reads is gone
    empty_polls: int = 2_000
    empty_paced: int = 400
    latency_streams: int = 1_000
    latency_s: float = 20.0  # one row at a time
    latency_rows_per_s: int = 50
    latency_busy_s: float = 10.0
    latency_quiet_s: float = 10.0  # without rows, for the CPU
    poll_s: float = 8.0
    poll_gaps: tuple[int, ...] = (0, 1, 100)
    compare_streams: int = 5_000
    compare_rows: int = 8  # in one turn of one side
    compare_turns: int = 4
    compare_burst_s: float = 5.0
    compare_floor_rows_per_s: int = 100  # in a burst: what the floor can take

    def only(self, names: Sequence[str]) -> Plan:
        """The same with these contenders; with none named, all."""
        return replace(self, contenders=tuple(names)) if names else self


FULL = Plan()
SHORT = Plan(
    streams=(5, 20),
    one_row_s=0.5,
    pages_rows=1,
    burst_streams=10,
    burst_rows_per_s=100,
    burst_s=1.0,
    burst_others_s=1.0,
    settle_s=5.0,
    connect_streams=20,
    connect_rounds=1,
    storm_streams=20,
    storm_s=1.0,
    reload_streams=20,
    reload_rows_per_s=20,
    reload_s=3.0,
    reload_times=2,
    slow_each=2,
    slow_normal=5,
    slow_rows_per_s=20,
    slow_s=1.0,
    slow_deadline_s=1.0,
    slow_after_s=0.2,
    empty_polls=50,
    empty_paced=10,
    latency_streams=5,
    latency_s=0.5,
    latency_rows_per_s=20,
    latency_busy_s=0.5,
    latency_quiet_s=0.5,
    poll_s=1.0,
    poll_gaps=(0, 3),
    compare_streams=30,
    compare_rows=1,
    compare_turns=2,
    compare_burst_s=0.5,
    compare_floor_rows_per_s=20,
)
