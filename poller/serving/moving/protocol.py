"""What two workers say to each other while live streams move.

    giver                                   taker
                                 <- hello   who it is, how it is, what it has room for
    batch + descriptors ->                  it has copies now, and writes nothing
                                 <- got     or `no`, and its copies are closed
    go ->                                   from here on it writes

*Three messages, one writer.* A stream's client must never get bytes of two workers, and the two
cannot agree at one instant. So the right to write is the message `go`, of which there is one:

- The giver writes until it takes a stream out for `batch`. It writes again only if it did not send
  `go`: a message of a SOCK_SEQPACKET socket is taken by the kernel as a whole or not at all, and
  an error (EPIPE: the taker is gone) means not at all. After `go` it never writes: `gone()`.
- The taker writes only after it has read `go`. If the connection ends before that, it closes its
  copies, which no client notices while the giver has its own.

Whoever dies, at most one is left that may write. If nobody is, the client sees an end, comes back
with its Last-Event-ID, and has lost nothing. With two messages, where `got` itself would be the
switch, a taker that writes and a giver that has not yet read `got`, and gives up waiting, are two
writers. Do not simplify that: `tests/poller/serving/moving/test_deaths.py` has the mutant.

Nobody shuts a socket down, or sets it blocking, while it moves: both would hit the other's copy.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import msgspec
from gevent.socket import wait_read, wait_write

MOST_BYTES = 256 * 1024  # of a message; luggage is half of that at most
MOST_STREAMS = 200  # in a message; the kernel takes 253 descriptors
SAY_S = 1.0  # for a message to be taken by a worker that stands still

# A feed: its service's prefix, its name, and what a stream of it has promised (`luggage.py`): new
# code may serve other columns than the old.
Key = tuple[str, str, str]

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_DESCRIPTORS = socket.CMSG_SPACE(MOST_STREAMS * array.array("i").itemsize)


class State(StrEnum):
    """Whether a worker takes streams: now, as soon as it has read its tables, or no longer."""

    READY, SOON, NEVER = "ready", "soon", "never"


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=str.lower):
    """One of these, and nothing that this version does not know."""


class Hello(Message, frozen=True):
    """A worker of this `version`. `streams`: how many it has. `room`: for how many more, by prefix
    of the service; `feeds`: of which feeds."""

    version: str
    state: State
    streams: int = 0
    room: dict[str, int] = {}
    feeds: list[Key] = []


class Batch(Message, frozen=True):
    """Streams of one feed. The descriptors, in the same order, are beside the message."""

    feed: Key
    luggage: list[msgspec.Raw]


class Got(Message, frozen=True):
    """The whole batch has come. `room`: for how many more."""

    room: int


class No(Message, frozen=True):
    """It is not taken. `room`: how many could be; 0 says: try another worker."""

    reason: str
    room: int


class Go(Message, frozen=True):
    """They are yours."""


_DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Hello | Batch | Got | No | Go)
# An import of the package would be one of all that it offers.
VERSION: str = sys.modules["poller"].__version__


class Heard(NamedTuple):
    """`cut_short`: the kernel dropped descriptors, since this process may have no more."""

    message: Message
    descriptors: list[int]
    cut_short: bool


class Link:
    """A connection between two workers. What it raises, besides OSError, is EOFError when the other
    is gone, and TimeoutError. Any of them ends it."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self.closed = False

    @property
    def peer_uid(self) -> int:
        """The user of the process at the other end, as the kernel knows it."""
        told = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid: int = _CREDENTIALS.unpack(told)[1]
        return uid

    def say(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Returns when the kernel has it; if it raises, the kernel has nothing of it."""
        data, until = msgspec.msgpack.encode(message), time.monotonic() + SAY_S
        rights = array.array("i", descriptors)
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        while True:
            try:
                self._socket.sendmsg([data], beside, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                wait_write(self._socket.fileno(), timeout=_left(until))
            else:
                return

    def hear(self, within_s: float | None = None) -> Heard:
        """The next message; None: however long it takes. Its descriptors are the caller's."""
        until = None if within_s is None else time.monotonic() + within_s
        while True:
            try:
                data, told, flags, _ = self._socket.recvmsg(
                    MOST_BYTES, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                wait_read(self._socket.fileno(), timeout=None if until is None else _left(until))
            else:
                return _heard(data, told, flags)

    def close(self) -> None:
        """Twice does nothing."""
        self.closed = True
        self._socket.close()


def _left(until: float) -> float:
    """Seconds; not 0, which would not wait at all, and not look either."""
    return max(0.001, until - time.monotonic())


def _heard(data: bytes, told: list[tuple[int, int, bytes]], flags: int) -> Heard:
    """Raises EOFError for the end, ConnectionError for what nobody can understand."""
    descriptors = array.array("i")
    for level, kind, value in told:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(value[: len(value) - len(value) % descriptors.itemsize])
    try:
        message = _message(data, cut_short=bool(flags & socket.MSG_TRUNC))
    except BaseException:
        close_all(descriptors)
        raise
    return Heard(message, [*descriptors], bool(flags & socket.MSG_CTRUNC))


def _message(data: bytes, *, cut_short: bool) -> Message:
    if not data:
        raise EOFError
    if cut_short:
        raise ConnectionError("a message that is too long")
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise ConnectionError(f"a message of another kind: {error}") from error


def close_all(descriptors: Sequence[int]) -> None:
    """Give them back. The connections stay open for whoever has other copies."""
    for one in descriptors:
        with suppress(OSError):
            os.close(one)
