"""Datagrams between the workers of one server: who hears them, and who does not."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import gevent
import msgspec
import pytest

from poller.serving import siblings
from poller.serving.folders import Held
from poller.serving.siblings import Siblings
from tests.harness.greenlets import until
from tests.harness.logged import logged

IS_LINUX = sys.platform == "linux"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = siblings.make_folder({}, os.geteuid(), os.getegid())
    assert made is not None
    yield made
    Held(made).drop()
    assert not made.exists()


class Heard(list[object]):
    """A worker, and what it heard."""

    def __init__(self, folder: Path) -> None:
        self.worker = Siblings()
        self.worker.on("word", self.append)
        self.worker.join(str(folder))


@pytest.fixture
def join(folder: Path) -> Iterator[Callable[[], Heard]]:
    joined: list[Heard] = []

    def make() -> Heard:
        joined.append(Heard(folder))
        return joined[-1]

    yield make
    for one in joined:
        one.worker.leave()


def test_all_others_hear_what_one_says(join: Callable[[], Heard]) -> None:
    one, two, three = join(), join(), join()
    one.worker.send("word", ["", "user:7"])
    until(lambda: two and three, "that both heard it")
    assert (one, two, three) == ([], [["", "user:7"]], [["", "user:7"]])


def test_an_unknown_kind_and_nonsense_are_passed_over(
    join: Callable[[], Heard], folder: Path
) -> None:
    one, two = join(), join()
    one.worker.send("of a newer version", {"x": 1})
    (path,) = [path for path in folder.iterdir() if path != one.worker._path]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger, logged() as lines:
        for message in (b"", b"{", b"[1]", b"[[], 1]", b"x" * (siblings.MOST_BYTES + 1)):
            stranger.sendto(message, str(path))
        one.worker.send("word", "after it")
        until(lambda: two, "that it still hears")
    assert two == ["after it"]
    assert {line["event"] for line in lines} == {"a message of a worker failed"}


def test_what_a_handler_raises_ends_nothing(join: Callable[[], Heard]) -> None:
    one, two = join(), join()
    two.worker.on("word", mock.Mock(side_effect=[ValueError("first"), None]))
    with logged() as lines:
        one.worker.send("word", 1)
        until(lambda: lines, "that it is logged")
    assert lines[0]["event"] == "a message of a worker failed"


def test_the_socket_of_a_killed_worker_is_removed(join: Callable[[], Heard], folder: Path) -> None:
    dead = folder / "4711-dead"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(dead))
    assert dead.exists()
    one, two = join(), join()
    one.worker.send("word", "still here")
    until(lambda: two, "that the living one heard it")
    assert not dead.exists()


def test_files_of_moving_streams_are_no_workers(join: Callable[[], Heard], folder: Path) -> None:
    others = [folder / name for name in (".4711-1.coming", ".4711-1.sock", ".turn")]
    for other in others:
        other.touch()
    one, two = join(), join()
    one.worker.send("word", 1)
    until(lambda: two, "that it was heard")
    assert all(other.exists() for other in others)


def test_a_worker_that_stands_still_is_told_later(join: Callable[[], Heard]) -> None:
    """Its queue is full: the kernel holds a few for it, the rest waits here."""
    one, two = join(), join()
    two.worker._watcher.stop()  # it reads nothing
    words: list[int] = []
    while len(one.worker._unsent) < 20:
        words.append(len(words))
        one.worker.send("word", words[-1])
    two.worker._watcher.start(two.worker._read)
    until(lambda: len(two) == len(words), "all that were said")
    assert {*two} == {*words}


def test_what_is_said_again_to_one_that_stands_still_waits_once(
    join: Callable[[], Heard],
) -> None:
    """Or a flood of hints to it would push out what is said once."""
    one, two = join(), join()
    two.worker._watcher.stop()
    while not one.worker._unsent:
        one.worker.send("word", "wake")
    one.worker.send("word", "once")
    for _ in range(siblings.MOST_UNSENT + 1):
        one.worker.send("word", "wake")
    assert len(one.worker._unsent) == 2
    two.worker._watcher.start(two.worker._read)
    until(lambda: "once" in two and not one.worker._unsent, "what was said once")
    assert two[-1] == "wake" or two[-1] == "once"


def test_one_that_takes_nothing_is_given_up(join: Callable[[], Heard]) -> None:
    one, two = join(), join()
    two.worker._watcher.stop()
    with mock.patch.object(siblings, "PATIENCE_S", 0.0), logged() as lines:
        while not one.worker._unsent:
            one.worker.send("word", "x" * 4096)
        until(lambda: not one.worker._unsent, "that nothing waits any more")
    assert {line["event"] for line in lines} == {"a worker takes no messages"}


def test_who_left_or_never_joined_says_and_hears_nothing(join: Callable[[], Heard]) -> None:
    one, two = join(), join()
    two.worker.leave()
    two.worker.leave()
    one.worker.send("word", 1)
    two.worker.send("word", 2)
    Siblings().send("word", 3)
    three = join()
    one.worker.send("word", 4)
    until(lambda: three, "that the third one heard it")
    assert (one, two, three) == ([], [], [4])


def test_too_long_a_message_is_an_error(join: Callable[[], Heard]) -> None:
    with pytest.raises(ValueError, match="too many"):
        join().worker.send("word", "x" * siblings.MOST_BYTES)


@pytest.mark.skipif(not IS_LINUX, reason="only Linux tells the sender")
def test_another_users_message_is_dropped(join: Callable[[], Heard]) -> None:
    message = msgspec.json.encode(["word", "forged"])
    one = join()
    told = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, siblings._CREDENTIALS.pack(1, 12345, 1))]
    hear = one.worker._socket
    assert hear is not None
    forged = mock.Mock(wraps=hear)
    forged.recvmsg.side_effect = [(message, told, 0, None), (message, [], 0, None), OSError]
    one.worker._socket = forged
    one.worker._read()
    one.worker._socket = hear
    gevent.sleep(0.01)
    assert one == []


# -- the folder ---------------------------------------------------------------------------------


def test_only_a_private_folder_is_used(tmp_path: Path) -> None:
    private, public, link = tmp_path / "private", tmp_path / "public", tmp_path / "link"
    private.mkdir(mode=0o700)
    public.mkdir()
    public.chmod(0o750)
    link.symlink_to(private)
    assert siblings.is_private(private)
    for folder in (public, link, tmp_path / "absent"):
        assert not siblings.is_private(folder)
        worker = Siblings()
        worker.join(str(folder))
        worker.send("word", 1)
    assert not siblings.is_private(private, os.geteuid() + 1)
    assert [*public.iterdir()] == [*private.iterdir()] == []


def test_the_folder_is_private_and_the_next_master_uses_it() -> None:
    environ: dict[str, str] = {}
    made = siblings.make_folder(environ, os.geteuid(), os.getegid())
    assert made is not None
    assert made.stat().st_mode & 0o777 == 0o700
    old, new = Held(made), siblings.make_folder(environ, os.geteuid(), os.getegid())
    assert new == made
    taken_over = Held(made)
    old.drop()
    assert made.exists()
    taken_over.drop()
    assert not made.exists()
    again = siblings.make_folder(environ, os.geteuid(), os.getegid())
    assert again not in (None, made)
    Held(Path(environ[siblings.FOLDER])).drop()


def test_the_folder_is_given_to_the_workers_user() -> None:
    """gunicorn's master may be root, and its workers somebody else."""
    uid, gid = os.geteuid() + 1, os.getegid() + 1
    with mock.patch.object(os, "chown") as given:
        made = siblings.make_folder({}, uid, gid)
    given.assert_called_once_with(str(made), uid, gid)
    assert made is not None
    made.rmdir()


def test_a_long_temporary_folder_is_not_used(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    with mock.patch.object(tempfile, "gettempdir", return_value=str(long)):
        made = siblings.make_folder({}, os.geteuid(), os.getegid())
    assert made is not None
    assert made.parent == Path("/tmp")
    one, two = Heard(made), Heard(made)
    one.worker.send("word", 1)
    until(lambda: two, "that it was heard")
    one.worker.leave()
    two.worker.leave()
    Held(made).drop()


def test_without_a_place_for_a_folder_the_workers_are_alone() -> None:
    with mock.patch.object(tempfile, "mkdtemp", side_effect=PermissionError), logged() as lines:
        assert siblings.make_folder({}, os.geteuid(), os.getegid()) is None
    assert [line["event"] for line in lines] == ["workers cannot reach each other"]
