"""Replay: rows of the ring for a client whose set differs from the worker's, under ids of its own.

It knows neither the ring nor the client. Pure, but that others have their turn in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from poller.delivery.entry import Entry
from poller.ids.named import Named
from poller.ids.ranges import Range, clip, subtract
from poller.ids.steps import Steps
from poller.runtime.hub import in_slices
from poller.wire import event_id

CHUNK_BYTES = 64 * 1024  # written at once: what a slow client can hold back in memory


class Replayed(NamedTuple):
    """Frames, what the client holds after them, and how many entries and rows that was."""

    chunk: bytes
    held: Named
    entries: int
    rows: int


def replay(
    epoch: str, held: Named, entries: Sequence[Entry], waits_for: Sequence[Range]
) -> Replayed:
    """The rows of `entries` that are not in `held`, as many as make a chunk.

    The client has all that was delivered before `entries`. So after each of them it has all that
    the worker had: rows, and ids that can never appear, but for those in `waits_for`.
    """
    frames: list[bytes] = []
    size = looked_at = 0
    for run in in_slices(_ascending(entries)):
        taken = lacking(held, run[-1].held, waits_for)
        new = [entry for entry in run if entry.frame and entry.row_id not in held.cursor]
        if not new:
            held, looked_at = held.then(taken), looked_at + len(run)
            continue
        steps = Steps(held, taken, new[0].row_id, new[-1].row_id)
        for entry in in_slices(new):
            frames.append(event_id.frame_under(epoch, steps.token(entry.row_id), entry.lines))
            size += len(frames[-1])
            if size > CHUNK_BYTES:
                looked_at += run.index(entry) + 1
                held = held.then(clip(taken, high=entry.row_id))
                return Replayed(b"".join(frames), held, looked_at, len(frames))
        held, looked_at = steps.change.after, looked_at + len(run)
    return Replayed(b"".join(frames), held, looked_at, len(frames))


def lacking(held: Named, other: Named, but: Sequence[Range]) -> Sequence[Range]:
    """What `other` has of ids and `held` lacks, but for some ranges."""
    if held.mark == other.mark:
        return ()
    found = other.cursor.difference(held.cursor)
    return subtract(found, but) if but else found


def _ascending(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Runs in the order of ids: a late row begins one."""
    start = 0
    for at in range(1, len(entries) + 1):
        if at == len(entries) or entries[at].row_id < entries[at - 1].row_id:
            yield entries[start:at]
            start = at
