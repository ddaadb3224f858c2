"""What the workers hold: descriptors and memory, and on request every object, by kind."""

import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.campaigns.soak.slope import Point, Slope, slope
from tests.harness.gunicorn import Gunicorn

MB = 2**20
HOUR_S = 3600


@dataclass
class Samples:
    """Of one worker, since the beginning of the soak."""

    process: psutil.Process
    memory_mb: list[Point] = field(default_factory=list)  # hours → PSS
    descriptors: list[int] = field(default_factory=list)

    def take(self, now_h: float) -> None:
        self.memory_mb.append((now_h, self.process.memory_full_info().pss / MB))
        self.descriptors.append(self.process.num_fds())

    def memory_slope(self, from_h: float) -> Slope:
        """MB per hour, of what was sampled after the warm-up."""
        return slope([point for point in self.memory_mb if point[0] >= from_h])


class Workers:
    """All of them, sampled at an interval."""

    def __init__(self, wall: Gunicorn, interval_s: float) -> None:
        self._wall = wall
        self._interval_s = interval_s
        self._began_s = self._due_s = time.monotonic()
        self.samples = {pid: Samples(psutil.Process(pid)) for pid in wall.worker_pids()}

    @property
    def hours(self) -> float:
        return (time.monotonic() - self._began_s) / HOUR_S

    def sample_when_due(self) -> None:
        if time.monotonic() < self._due_s:
            return
        self._due_s += self._interval_s
        for one in self.samples.values():
            one.take(self.hours)

    def descriptors(self) -> dict[int, int]:
        return {pid: one.process.num_fds() for pid, one in self.samples.items()}

    def census(self) -> dict[int, dict[str, Any]]:
        """Of each worker; the others stand still meanwhile."""
        found = {}
        for pid in self.samples:
            with self._wall.only_worker(pid):
                found[pid] = self._wall.get("/census").json
            assert found[pid].pop("pid") == pid
        return found
