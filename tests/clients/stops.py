"""Where a proxy stops, and how it cuts chunks anew. Pure: bytes in, bytes out."""

import re
from dataclasses import dataclass
from typing import Literal

from tests.harness.sse import Response

Part = Literal["in data", "after data", "in id", "after id", "after the frame"]


@dataclass
class Stop:
    """Holds back what follows a `part` of the `number`-th frame of a kind (`row`, `start`, …)."""

    kind: str
    number: int = 1
    part: Part = "after the frame"

    def offset(self, frame: bytes) -> int | None:
        """How much of this frame is still passed on; None where the stop is not in it."""
        if _kind(frame) != self.kind:
            return None
        self.number -= 1
        return None if self.number else self._offset_of_part(frame)

    def _offset_of_part(self, frame: bytes) -> int:
        data, line_id = frame.index(b"data: "), frame.rindex(b"\nid: ") + 1
        offsets: dict[Part, int] = {
            "in data": (data + line_id) // 2,
            "after data": line_id,
            "in id": (line_id + len(frame)) // 2,
            "after id": len(frame) - 1,
            "after the frame": len(frame),
        }
        return offsets[self.part]


@dataclass
class StopAfterBytes:
    """Holds back what follows this many bytes, wherever that is."""

    left: int

    def offset(self, frame: bytes) -> int | None:
        self.left -= len(frame)
        return len(frame) + self.left if self.left <= 0 else None


class Rechunked:
    """An answer with chunks of another size, if it has any, as a proxy that buffers makes it."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._answer = Response()
        self._head = b""  # what came of it, until it is complete

    def feed(self, data: bytes) -> bytes:
        """What of it may go on now."""
        complete_before = bool(self._answer.head)
        self._answer.feed(data)
        if not self._answer.head:
            self._head += data
            return b""
        if "transfer-encoding" not in self._answer.headers:
            return data if complete_before else self._head + data
        head = b"" if complete_before else self._answer.head + b"\r\n\r\n"
        return head + self._chunks()

    def _chunks(self) -> bytes:
        body = bytes(self._answer.raw)
        self._answer.raw.clear()
        starts = range(0, len(body), self._chunk_bytes)
        parts = [body[start : start + self._chunk_bytes] for start in starts]
        end = b"0\r\n\r\n" if self._answer.complete else b""
        return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


def _kind(frame: bytes) -> str:
    """`row`, or the name of the event; empty for what comes before the first frame."""
    event = re.search(rb"^event: (\w+)$", frame, re.MULTILINE)
    return event[1].decode() if event else "row" if b"data: " in frame else ""
