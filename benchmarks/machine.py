"""The machine that figures come from, and which process runs on which core of it."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CORES = sorted(os.sched_getaffinity(0))
# The server alone on the first core, the load client and the publisher on the others.
SERVER_CORES = set(CORES[:1])
CLIENT_CORES = set(CORES[1:]) or set(CORES)
DESCRIPTORS = 65_536
SPARE_DESCRIPTORS = 500  # of a server, besides its streams
URGENT = -10  # nice: a publisher that waits for the load client would tell a late time
PACKAGES = ("gunicorn", "gevent", "Flask", "SQLAlchemy", "sse-starlette", "uvicorn")


def prepare() -> None:
    """Makes this process the one that drives a run: its cores and its limit of open files."""
    os.sched_setaffinity(0, CLIENT_CORES)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # only root raises the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, max(hard, DESCRIPTORS)))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_streams() -> int:
    """How many streams the limit of open files allows a server."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """What is started inside runs on these cores, and so do its children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def urgent() -> Iterator[None]:
    """This thread goes before others on its core, where that is allowed (root)."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def describe() -> dict[str, str]:
    """The machine and what was measured on it, in a few words."""
    return {
        "commit": commit(PROJECT),
        "processor": f"{_processor()}, {len(CORES)} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "system": f"Linux {platform.release().split('-')[0]}",
        "python": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(filter(None, map(_version, PACKAGES))),
    }


def commit(checkout: Path) -> str:
    """The short commit of a checkout, with `-dirty` where files were changed; else its path."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    with suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return str(checkout)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    with suppress(metadata.PackageNotFoundError):
        return f"{package} {metadata.version(package)}"
    return ""
