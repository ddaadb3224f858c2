"""Streams that move from one worker to another, over socket pairs: what each client gets.

Real pollers, logs, streams and sockets; the table is simulated, and both workers are in this
process. The protocol between processes has its own tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.harness.greenlets import until
from tests.harness.moving import MovingClient, MovingWorker, end, move, worker_of
from tests.harness.simulation import table_with


class Scene:
    """A table, two workers that have polled it, and clients."""

    def __init__(self) -> None:
        self.table = table_with(3)
        self.workers: list[MovingWorker] = []
        self.clients: list[MovingClient] = []

    def worker(self, **changes: object) -> MovingWorker:
        self.workers.append(worker_of(self.table, **changes))
        return self.workers[-1]

    def client(self, worker: MovingWorker, *arguments: object, **options: object) -> MovingClient:
        self.clients.append(MovingClient(worker, *arguments, **options))  # type: ignore[arg-type]
        return self.clients[-1]

    def insert(self, rows: int = 1) -> None:
        self.table.insert(rows)
        for worker in self.workers:
            worker.poll_until_quiet()


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    end(scene.workers, scene.clients)


def has(client: MovingClient, rows: int) -> Callable[[], bool]:
    def fact() -> bool:
        client.read()
        return len(client.ids) >= rows

    return fact


@pytest.mark.parametrize("chunked", [True, False])
def test_a_parked_stream_goes_on_at_the_other_worker(scene: Scene, chunked: bool) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.client(giver, "0", chunked=chunked)
    until(has(client, 3), "the rows of before")
    until(lambda: giver.streams._fanout.parked, "that it is parked")
    move(giver, taker)
    assert (len(giver.streams), len(taker.streams)) == (0, 1)
    scene.insert(2)
    until(has(client, 5), "the rows of after")
    assert client.ids == [1, 2, 3, 4, 5]
    assert client.events == ["start", *["message"] * 3, "live", *["message"] * 2]
