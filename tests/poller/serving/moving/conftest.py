"""Workers of one process that hand streams to each other, in a folder as their master makes it."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from poller.serving.moving.marks import Marks
from tests.poller.serving.moving.writers import Numbers, Worker, pair


@pytest.fixture
def marks() -> Iterator[Marks]:
    """In a folder whose name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="rowcast-test-", dir="/tmp") as folder:
        yield Marks(Path(folder))


@pytest.fixture
def clients() -> Iterator[Callable[[int], tuple[list[socket.socket], list[socket.socket]]]]:
    """clients(count): the workers' ends and the clients'."""
    made: list[socket.socket] = []

    def make(count: int) -> tuple[list[socket.socket], list[socket.socket]]:
        pairs = [pair() for _ in range(count)]
        made.extend(theirs for _, theirs in pairs)
        return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def arrive(marks: Marks) -> Iterator[Callable[..., Worker]]:
    """arrive(age, room=…): a worker that takes streams, and has these `numbers`."""
    arrived: list[Worker] = []

    def make(age: int, numbers: Numbers | None = None, room: int = 1_000) -> Worker:
        worker = Worker(marks, age, Numbers() if numbers is None else numbers, room)
        worker.taker.open()
        arrived.append(worker)
        return worker

    yield make
    for worker in arrived:
        worker.taker.close()
        for visit in [*worker.taker._serving]:
            gevent.kill(visit)
        for stream in [*worker.numbers.writing, *worker.numbers.taken_out]:
            stream.client.close()
