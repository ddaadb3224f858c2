"""How many connections one worker can hold, streams and others: one file descriptor each.

Invariant: fewer are accepted than there are descriptors. A process that has none left can open no
database either, and accepts nothing, health checks included.
"""

from __future__ import annotations

import resource

MAX_STREAMS = 20_000  # per worker; beyond it, add workers
PAGES_BESIDE_STREAMS = 1_000  # connections for the page, posts and health checks
PAGES_ONE_IN = 4  # … and of few descriptors, at most one in so many
OWN_DESCRIPTORS = 200  # listeners, database, files of the log and the metrics


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


def max_connections() -> int:
    """What a worker may accept at once, streams included."""
    wanted = MAX_STREAMS + PAGES_BESIDE_STREAMS
    return max(2, min(wanted, raise_descriptor_limit() - OWN_DESCRIPTORS))


def max_streams(configured: int | None) -> int:
    """The cap: what is configured, but never more than the descriptor limit allows."""
    connections = max_connections()
    pages = max(1, min(PAGES_BESIDE_STREAMS, connections // PAGES_ONE_IN))
    allowed = connections - pages
    return allowed if configured is None else min(configured, allowed)
