"""Replay: rows of the ring for a client whose set differs from the worker's, under ids of its own.

It knows neither the ring nor the client. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from poller.delivery.event_log import Entry
from poller.ids.cursor import Cursor
from poller.ids.ranges import Range
from poller.ids.steps import Steps
from poller.wire import event_id

CHUNK_BYTES = 64 * 1024  # written at once: what a slow client can hold back in memory


class Replayed(NamedTuple):
    """Frames, what the client holds after them, and how many entries and rows that was."""

    chunk: bytes
    held: Cursor
    entries: int
    rows: int


def replay(
    epoch: str, held: Cursor, entries: Sequence[Entry], waits_for: Sequence[Range]
) -> Replayed:
    """The rows of `entries` that are not in `held`, as many as make a chunk.

    The client has all that was delivered before `entries`. So after each of them it has all that
    the entry's cursor holds: rows, and ids that can never appear, but for those in `waits_for`.
    """
    frames: list[bytes] = []
    size = looked_at = 0
    for run in _ascending(entries):
        new = [entry for entry in run if entry.row_id not in held]
        after = _with(held, run[-1], waits_for)
        if new:
            steps = Steps(held, after, new[0].row_id, new[-1].row_id)
        for entry in new:
            frames.append(event_id.frame_under(epoch, steps.token(entry.row_id), entry.lines))
            size += len(frames[-1])
            if size > CHUNK_BYTES:
                looked_at += run.index(entry) + 1
                held = _with(held, entry, waits_for)
                return Replayed(b"".join(frames), held, looked_at, len(frames))
        held, looked_at = after, looked_at + len(run)
    return Replayed(b"".join(frames), held, looked_at, len(frames))


def _with(held: Cursor, entry: Entry, waits_for: Sequence[Range]) -> Cursor:
    both = held.union(entry.cursor)
    return both.without(waits_for) if waits_for else both


def _ascending(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Runs in the order of ids: a late row begins one."""
    start = 0
    for at in range(1, len(entries) + 1):
        if at == len(entries) or entries[at].row_id < entries[at - 1].row_id:
            yield entries[start:at]
            start = at
