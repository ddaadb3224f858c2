"""The servers that deliver the same rows: ours twice, the floor, and two that others wrote.

Each is started with as few settings as it needs, with one worker, on the server's core.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import Contender
from benchmarks.contenders.floor import Floor
from benchmarks.contenders.nchan import Nchan
from benchmarks.contenders.rowcast import Rowcast
from benchmarks.contenders.sse_starlette import SseStarlette

__all__ = ["NAMES", "Contender", "Floor", "Rowcast", "make"]

NAMES = ("fanout", "generator", "floor", "nchan", "sse-starlette")


def make(name: str, folder: Path) -> Contender:
    """A contender that is not started yet. Raises PartMissing where this machine lacks it."""
    match name:
        case "fanout":
            return Rowcast(folder)
        case "generator":
            return Rowcast(folder, fanout=False)
        case "floor":
            return Floor(folder)
        case "nchan":
            return Nchan(folder)
        case "sse-starlette":
            return SseStarlette(folder)
    raise ValueError(f"{name!r} is no contender; there are {', '.join(NAMES)}")
