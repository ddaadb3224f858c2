"""What a server uses: CPU time and memory of all its processes, as the kernel counts them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CPUCLOCK_SCHED = 2  # linux/posix-timers.h: a process's CPU-time clock, in ns


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system, that these processes and their threads have used so far.

    This clock is exact to nanoseconds; /proc/PID/stat counts in steps of 10 ms.
    """
    return sum(time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) for pid in pids) / 1e9


def pss_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes (PSS): a page that several share counts by its share."""
    total_kb = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb * 1024


def tcp_bytes() -> int:
    """Kernel memory in all TCP buffers of this machine; 0 where the kernel does not say."""
    with suppress(StopIteration, ValueError):
        lines = Path("/proc/net/sockstat").read_text().splitlines()
        words = next(line for line in lines if line.startswith("TCP:")).split()
        return int(words[words.index("mem") + 1]) * 4096
    return 0


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of them lies; they need not be sorted. 0.0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
