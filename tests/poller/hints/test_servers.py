"""`rowcast wake`: which servers it finds, and which it leaves alone."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from unittest import mock

import gevent
import pytest

from poller.hints import servers
from poller.hints.servers import NobodyThere, wake
from poller.serving import siblings
from poller.serving.siblings import Siblings
from tests.harness.greenlets import until


class Server:
    """A folder with workers, and what they heard."""

    def __init__(self, workers: int = 2) -> None:
        made = siblings.make_folder({}, os.geteuid(), os.getegid())
        assert made is not None
        self.folder, self.heard = made, list[object]()
        self.workers = [Siblings() for _ in range(workers)]
        for one in self.workers:
            one.on("wake", self.heard.append)
            one.join(str(made))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The only one that can be found: others may run on this machine."""
    with tempfile.TemporaryDirectory(prefix="hints-") as place:
        monkeypatch.setattr(servers, "SHORT_FOLDERS", ())
        monkeypatch.setattr(tempfile, "tempdir", place)
        found = Server()
        yield found
        for one in found.workers:
            one.leave()
        shutil.rmtree(found.folder)


def test_every_worker_is_told_of_every_feed(server: Server) -> None:
    assert wake(["orders", "invoices"]) == 2
    until(lambda: len(server.heard) == 4, "what both heard")
    assert server.heard.count([None, "orders"]) == server.heard.count([None, "invoices"]) == 2
    assert wake([]) == 2
    until(lambda: server.heard[4:] == [[None, None]] * 2, "that all feeds are meant")


def test_a_worker_that_was_killed_is_not_counted(server: Server) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(server.folder / "4711-dead"))
    (server.folder / "notes").write_text("no socket")
    assert wake(["orders"], str(server.folder)) == 2


def test_one_that_stands_still_is_not_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PATIENCE_S", 0.01)
    server.workers[0]._watcher.stop()  # it reads nothing

    def told() -> int:
        found = wake(["orders"])
        gevent.sleep(0)  # the other one reads
        return found

    until(lambda: told() == 1, "its queue is full")


def test_nobody_there_is_said_with_what_to_do(server: Server) -> None:
    for one in server.workers:
        one.leave()
    with pytest.raises(NobodyThere, match=r"no running server was found.*--folder"):
        wake(["orders"])
    with pytest.raises(NobodyThere, match="no worker can be reached in"):
        wake(["orders"], str(server.folder))


def test_a_folder_that_others_can_look_into_is_left_alone(server: Server) -> None:
    server.folder.chmod(0o755)
    with pytest.raises(NobodyThere, match="no running server was found"):
        wake(["orders"])
    with pytest.raises(NobodyThere, match="others than its owner"):
        wake(["orders"], str(server.folder))
    with pytest.raises(NobodyThere, match="cannot be looked into"):
        wake(["orders"], str(server.folder / "absent"))
    server.folder.chmod(0o700)


def test_another_users_server_is_told_by_root_alone_and_only_if_named(server: Server) -> None:
    theirs = os.geteuid()
    with mock.patch.object(os, "geteuid", return_value=theirs + 1000):
        with pytest.raises(NobodyThere, match="no running server was found"):
            wake(["orders"])
        with pytest.raises(NobodyThere, match="belongs to another user"):
            wake(["orders"], str(server.folder))
    if theirs:
        return
    os.chown(server.folder, 12345, 12345)
    with pytest.raises(NobodyThere, match="no running server was found"):
        wake(["orders"])
    assert wake(["orders"], str(server.folder)) == 2
    os.chown(server.folder, 0, 0)
