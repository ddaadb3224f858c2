"""The notifier's log lines. One that cannot be written is dropped.

A full disk or a closed pipe must not end what a line tells of: a loop, a stream, a worker's start.
"""

from __future__ import annotations

import contextlib

import structlog

log = structlog.get_logger("rowcast")


def tell(level: str, event: str, **values: object) -> None:
    """Log `event`, a constant, with its values; `level` is the name of structlog's method."""
    with contextlib.suppress(Exception):
        getattr(log, level)(event, **values)
