"""Standard output, of which is known how much of it was read.

`rowcast tail … | head -1000` prints a token at its end, and nobody could go on exactly behind the
thousandth row if more were on their way. So a pipe gets a line when the one before was taken; of
what its reader leaves behind, the kernel tells how much is unread. A file or a terminal gets a
batch at once.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from typing import BinaryIO

import gevent
from gevent import monkey

# One page: such a pipe can be written to just when it is empty.
PIPE_BYTES = 4096
LOOK_MS = 200  # at whether a signal came
GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
READ = 1  # of libev: on the writing end it fires when there is no reader any more
_poll = monkey.get_original("select", "poll")


class ReaderLeft(Exception):  # noqa: N818 - no fault
    """Whoever reads the output has left."""


class Output:
    """Standard output. It blocks the whole process while nobody takes what is written: until then
    there is nothing to do. `stopped()` says whether a signal has ended that."""

    def __init__(self, stream: BinaryIO, stopped: Callable[[], bool]) -> None:
        self._stream = stream
        self._stopped = stopped
        self._pipe = _pipe_of(stream)
        if self._pipe is not None:
            with suppress(OSError, AttributeError):  # only Linux has it
                fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, lines: Sequence[bytes], taken: Callable[[int], object]) -> None:
        """Write the lines, as far as the output is not stopped; `taken(n)` is called when the first
        n of them are known to be taken. Raises ReaderLeft."""
        try:
            if self._pipe is None:
                self._stream.write(b"".join(lines))
                self._stream.flush()
                taken(len(lines))
            else:
                self._write_each(self._pipe, lines, taken)
        except BrokenPipeError:
            raise ReaderLeft from None

    @contextmanager
    def watched(self, left: Callable[[], object]) -> Iterator[None]:
        """Inside, `left()` is called by the hub when the reader of the pipe has left."""
        if self._pipe is None:
            yield
            return
        watcher = gevent.get_hub().loop.io(self._pipe, READ)
        watcher.start(left)
        try:
            yield
        finally:
            watcher.stop()
            watcher.close()

    @staticmethod
    def discard() -> None:
        """Let the interpreter's own flush at its end go nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)

    def _write_each(
        self, pipe: int, lines: Sequence[bytes], taken: Callable[[int], object]
    ) -> None:
        for count, line in enumerate(lines, start=1):
            for start in range(0, len(line), select.PIPE_BUF):
                if self._stopped():
                    return
                # The pipe is empty, so that this does not wait, and is all or nothing.
                os.write(pipe, line[start : start + select.PIPE_BUF])
                is_taken = self._wait_taken(pipe)
            taken(count)  # or it is in the pipe, where whoever reads will find it
            if not is_taken:
                return

    def _wait_taken(self, pipe: int) -> bool:
        """Until the pipe is empty; False if the output is stopped before. Raises ReaderLeft if it
        never will be."""
        poll = _poll()
        poll.register(pipe, select.POLLOUT)
        while not (found := poll.poll(LOOK_MS)):
            if self._stopped():
                return False
        ((_, told),) = found
        if told & GONE and _unread_bytes(pipe):
            raise ReaderLeft
        return True


def _pipe_of(stream: BinaryIO) -> int | None:
    """The descriptor, if it is a pipe."""
    try:
        descriptor = stream.fileno()
    except (UnsupportedOperation, OSError, AttributeError):
        return None
    return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None


def _unread_bytes(pipe: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))
    return int(count)
