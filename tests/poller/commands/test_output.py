"""What a reader took of the output, with real pipes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from poller.commands.output import Output, ReaderLeft

BOUND_S = 60


@pytest.fixture
def pipe() -> Iterator[tuple[int, Output]]:
    """The reading end, which the test closes, and an output to the other."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        yield reader, Output(stream, never)


def never() -> bool:
    return False


class Counted:
    """What `write()` says was taken."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count = count


def reading(descriptor: int, lines: int) -> threading.Thread:
    """Reads so many short lines, then leaves."""

    def read() -> None:
        found = b""
        while found.count(b"\n") < lines:
            found += os.read(descriptor, 65_536)
        os.close(descriptor)

    thread = threading.Thread(target=read)
    thread.start()
    return thread


@pytest.mark.parametrize("lines", [1, 2, 7])
def test_a_reader_that_leaves_has_taken_what_it_read(pipe: tuple[int, Output], lines: int) -> None:
    reader, output = pipe
    thread, taken = reading(reader, lines), Counted()
    with pytest.raises(ReaderLeft):
        output.write([b"%d\n" % n for n in range(1000)], taken)
    thread.join(BOUND_S)
    assert taken.count == lines


def test_a_line_that_is_longer_than_a_pipe_is_written_whole(pipe: tuple[int, Output]) -> None:
    reader, output = pipe
    thread, taken = reading(reader, 2), Counted()
    output.write([b"x" * 1_000_000 + b"\n", b"y\n"], taken)
    thread.join(BOUND_S)
    assert taken.count == 2


def test_a_pipe_without_a_reader_takes_nothing(pipe: tuple[int, Output]) -> None:
    reader, output = pipe
    os.close(reader)
    taken = Counted()
    with pytest.raises(ReaderLeft):
        output.write([b"1\n"], taken)
    assert taken.count == 0


def test_output_that_is_stopped_leaves_what_it_wrote_to_the_reader() -> None:
    """The reader has not read yet: it will find the first line, and no other."""
    reader, writer = os.pipe()
    looks = iter([False, True])
    with os.fdopen(writer, "wb") as stream:
        taken = Counted()
        Output(stream, lambda: next(looks)).write([b"1\n", b"2\n"], taken)
    assert (taken.count, os.read(reader, 10)) == (1, b"1\n")
    os.close(reader)


def test_a_long_line_that_is_stopped_was_not_taken() -> None:
    reader, writer = os.pipe()
    looks = iter([False, True, True])
    with os.fdopen(writer, "wb") as stream:
        taken = Counted()
        Output(stream, lambda: next(looks)).write([b"x" * 10_000 + b"\n"], taken)
    assert taken.count == 0
    assert 0 < len(os.read(reader, 20_000)) < 10_000
    os.close(reader)


def test_a_file_gets_a_batch_at_once(tmp_path: Path) -> None:
    taken = Counted()
    with (tmp_path / "rows").open("wb") as stream:
        Output(stream, never).write([b"1\n", b"2\n"], taken)
    assert (taken.count, (tmp_path / "rows").read_bytes()) == (2, b"1\n2\n")
    memory = BytesIO()
    Output(memory, never).write([b"3\n"], taken)
    assert memory.getvalue() == b"3\n"


def test_the_interpreter_says_nothing_of_a_broken_pipe() -> None:
    code = (
        "import sys; from poller.commands.output import Output, ReaderLeft\n"
        "print('held back')\n"
        "try: Output(sys.stdout.buffer, bool).write([b'1\\n'], lambda count: None)\n"
        "except ReaderLeft: Output.discard()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")
