"""How many streams one worker can hold: one file descriptor each."""

from __future__ import annotations

import resource

MAX_STREAMS = 20_000  # per worker; beyond it, add workers
RESERVED_DESCRIPTORS = 200  # listeners, database, log files, pages being served meanwhile


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to the hard one; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_STREAMS * 2 if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_STREAMS * 2 if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # macOS promises an unlimited hard value and refuses it
        return soft
    return wanted


def max_streams(configured: int | None) -> int:
    """The cap: what is configured, but never more than the descriptor limit allows."""
    allowed = max(1, min(MAX_STREAMS, raise_descriptor_limit() - RESERVED_DESCRIPTORS))
    return allowed if configured is None else min(configured, allowed)
