"""What is left to send when a stream stops in the middle of a chunk of frames: the rest of the
current frame, and no more. Pure.

A chunk of frames may be 256 KB, and as many streams stop as there are. What follows the current
frame, the other process has itself; it needs to know where. That is what the frame's own id says:
what the client holds after it. A frame without an id says nothing, so then the next one that has
one is taken, too (`start` before a `reset`, a comment); if there is none, all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from poller.wire import chunked, notices
from poller.wire.chunked import END, Part

FRAME_END = b"\n\n"
_ID = re.compile(rb"^id: ([^\n]*)\n\n", re.MULTILINE)  # the last line of a frame
_LIVE = re.compile(rb"^event: %b\n" % notices.LIVE_EVENT.encode(), re.MULTILINE)


class Unsent(NamedTuple):
    """`rest` is to be sent as it is; then the HTTP chunk `owed` so many bytes.

    `frame_id` is the id of the last frame in `rest`, None where nothing is left out behind it.
    `left_out`: so many frames were, not counting `live`, which is among them if `leaves_live_out`.
    """

    rest: bytes
    owed: int
    frame_id: str | None = None
    left_out: int = 0
    leaves_live_out: bool = False


def unsent(coded: bytes, sent: int, owed_before: int | None, owed_after: int) -> Unsent:
    """What is left of `coded` frames, of which so many bytes were sent.

    The body is coded in chunks, and owed `owed_before` bytes to one before it, `owed_after` now;
    `owed_before` is None if it is not coded at all.
    """
    layout = (
        [Part(0, len(coded), 0)] if owed_before is None else [*chunked.parts(coded, owed_before)]
    )
    body = b"".join(coded[part.start : part.stop] for part in layout)
    for frame_id, stop in _frames(body, _sent_of(layout, sent)):
        at, owed = _place(layout, stop, is_coded=owed_before is not None)
        if at >= len(coded):
            break
        if at >= sent:
            left = body[stop:]
            live = _LIVE.search(left) is not None
            frames = left.count(FRAME_END) - live
            return Unsent(coded[sent:at], owed, frame_id, frames, leaves_live_out=live)
    return Unsent(coded[sent:], owed_after)


def _sent_of(layout: list[Part], sent: int) -> int:
    """How many bytes of the body that is."""
    return sum(min(max(sent, part.start), part.stop) - part.start for part in layout)


def _frames(body: bytes, sent: int) -> Iterator[tuple[str, int]]:
    """The frames with an id that are not behind the one that was begun last: id and end."""
    before = body.rfind(FRAME_END, 0, max(sent - 1, 0))
    for found in _ID.finditer(body, 0 if before < 0 else before + len(FRAME_END)):
        yield found[1].decode(), found.end()


def _place(layout: list[Part], stop: int, *, is_coded: bool) -> tuple[int, int]:
    """Where in the coded bytes the body's byte `stop` is, and what the chunk lacks there."""
    for part in layout:
        if stop <= part.stop - part.start:
            break
        stop -= part.stop - part.start
    owed = part.length - stop
    if not is_coded or owed:
        return part.start + stop, max(0, owed)
    return part.start + stop + len(END), 0
