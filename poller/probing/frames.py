"""The body of an answer read as an event stream: what stands in it, and when it came.

As the WHATWG HTML standard words it (section 9.2), but what a browser passes over in silence is
kept here, for it is what a look is for. Pure.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from poller.probing.observed import Arrival

MOST_BYTES = 16 << 20  # unpacked: a small body can be made to unpack to a thousand times its size
TOGETHER_S = 0.05  # pieces that come so close are one lump
READABLE = {"gzip": 31, "deflate": 47}  # zlib's window bits; 47 finds out by itself
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DIGITS = re.compile(rb"[0-9]+")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event. `id` is None where the frame has none. `began_s`: when its first byte came."""

    event: str
    data: str
    id: str | None
    began_s: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Lump:
    """Bytes that came together."""

    at_s: float
    size: int
    frames: list[Frame] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Body:
    """All of it. `invalid`: the first bytes that are no UTF-8. `rest`: what was begun and not
    ended. `line_ends`: each kind that ended a line."""

    lumps: list[Lump] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    line_ends: set[bytes] = field(default_factory=set)
    bom: bool = False
    invalid: bytes = b""
    unknown: list[str] = field(default_factory=list)  # names of lines that no client knows
    rest: bytes = b""
    encoded: str = ""  # the compression that was not understood

    @property
    def frames(self) -> list[Frame]:
        return [frame for lump in self.lumps for frame in lump.frames]

    @property
    def comments(self) -> list[str]:
        return [comment for lump in self.lumps for comment in lump.comments]


def body_of(arrivals: Sequence[Arrival], encoding: str = "") -> Body:
    """Read what came. `encoding` is the header Content-Encoding."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return _Reader().read(arrivals)
    if encoding not in READABLE:
        lumps = [Lump(at_s, size) for at_s, size in _together(arrivals)]
        return Body(lumps=lumps, encoded=encoding)
    return _Reader().read(_inflated(arrivals, READABLE[encoding]))


def _inflated(arrivals: Sequence[Arrival], window_bits: int) -> list[Arrival]:
    """What each piece brought. A piece that is no such text ends it, and so does too much."""
    inflater, left = zlib.decompressobj(window_bits), MOST_BYTES
    pieces: list[Arrival] = []
    for arrival in arrivals:
        try:
            data = inflater.decompress(arrival.data, left)
        except zlib.error:
            break
        pieces.append(Arrival(arrival.at_s, data))
        left -= len(data)
        if left <= 0:
            break
    return pieces


def _together(arrivals: Sequence[Arrival]) -> Iterator[tuple[float, int]]:
    """The time and the size of each lump."""
    began_s, last_s, size = 0.0, 0.0, 0
    for arrival in arrivals:
        if size and arrival.at_s - last_s > TOGETHER_S:
            yield began_s, size
            size = 0
        began_s = arrival.at_s if not size else began_s
        last_s, size = arrival.at_s, size + len(arrival.data)
    if size:
        yield began_s, size


class _Reader:
    """Takes pieces cut anywhere, in a time that grows with their size and not with its square."""

    def __init__(self) -> None:
        self._body = Body()
        self._begun: list[bytes] = []  # the pieces of a line that is not ended yet
        self._first = True
        self._began_s: float | None = None  # of the frame, or the line, that is not ended yet
        self._last_s = float("-inf")
        self._clear()

    def read(self, arrivals: Sequence[Arrival]) -> Body:
        for arrival in arrivals:
            if arrival.data:
                self._take(arrival)
        self._body.rest = b"".join([*self._unended, *self._begun])
        return self._body

    def _take(self, arrival: Arrival) -> None:
        frames: list[Frame] = []
        comments: list[str] = []
        if self._began_s is None:
            self._began_s = arrival.at_s
        for line in self._lines(arrival.data):
            self._line(line, arrival.at_s, frames, comments)
        if not (self._begun or self._unended):
            self._began_s = None
        self._add(Lump(arrival.at_s, len(arrival.data), frames, comments))

    def _add(self, new: Lump) -> None:
        lumps = self._body.lumps
        if lumps and new.at_s - self._last_s <= TOGETHER_S:
            old = lumps.pop()
            old.frames.extend(new.frames)
            old.comments.extend(new.comments)
            lumps.append(replace(old, size=old.size + new.size))
        else:
            lumps.append(new)
        self._last_s = new.at_s

    def _lines(self, data: bytes) -> Iterator[bytes]:
        """Those that are whole. A CR at the end may be half of a CRLF: it waits."""
        if self._goes_on(data):
            self._begun.append(data)
            return
        text = b"".join([*self._begun, data])
        if self._first and len(text) >= len(BOM):
            self._first, self._body.bom = False, text.startswith(BOM)
            text = text.removeprefix(BOM)
        at = 0
        for found in _LINE_END.finditer(text):
            if found[0] == b"\r" and found.end() == len(text):
                break
            self._body.line_ends.add(found[0])
            yield text[at : found.start()]
            at = found.end()
        self._begun = [text[at:]] if at < len(text) else []

    def _goes_on(self, data: bytes) -> bool:
        """Whether it only makes a line longer: then it need not be looked at from its beginning."""
        in_a_line = self._begun and not self._first and not self._begun[-1].endswith(b"\r")
        return bool(in_a_line) and not _LINE_END.search(data)

    def _line(self, line: bytes, at_s: float, frames: list[Frame], comments: list[str]) -> None:
        if not line:
            if self._data:
                frames.append(self._frame(at_s))
            self._clear()
            self._began_s = at_s
            return
        text = self._decoded(line)
        if text.startswith(":"):
            comments.append(text[1:].strip())
            return
        self._unended.append(line + b"\n")
        self._field(*_name_and_value(text))

    def _field(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id":
                self._id = value
            case "retry" if _DIGITS.fullmatch(value.encode()):
                self._body.retries.append(int(value))
            case _:
                self._body.unknown.append(name)
        if name == "retry" and len(self._unended) == 1:
            self._unended = []  # it counts at once, with no blank line behind it

    def _frame(self, at_s: float) -> Frame:
        began_s = at_s if self._began_s is None else self._began_s
        data = "\n".join(self._data)
        return Frame(self._event or "message", data, self._id, began_s, at_s)

    def _clear(self) -> None:
        self._event, self._data, self._id, self._unended = "", [], None, []

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self._body.invalid = self._body.invalid or line[error.start : error.end]
            return line.decode(errors="replace")

    _event: str
    _data: list[str]
    _id: str | None
    _unended: list[bytes]


def _name_and_value(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")
