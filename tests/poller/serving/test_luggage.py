"""Streams that move from one worker to another, over socket pairs: what each client gets.

Real pollers, logs, streams and sockets; the table is simulated, and both workers are in this
process. The protocol between processes has its own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poller.delivery.view import View
from poller.serving import movable
from tests.harness.greenlets import until
from tests.harness.moving import (
    MeteredSocket,
    MovingClient,
    MovingWorker,
    end,
    move,
    worker_of,
)
from tests.harness.simulation import table_with

ROOM_1 = View.of({"room": [1]})


class Scene:
    """A table of three rows, two workers that have polled it, and clients."""

    def __init__(self) -> None:
        self.table = table_with(3)
        self.workers: list[MovingWorker] = []
        self.clients: list[MovingClient] = []

    def worker(self, **changes: object) -> MovingWorker:
        self.workers.append(worker_of(self.table, **changes))
        return self.workers[-1]

    def client(
        self, worker: MovingWorker, last_event_id: str | None = "0", **options: Any
    ) -> MovingClient:
        asked = {"admission": worker.admission, **options}
        self.clients.append(MovingClient(worker.streams, last_event_id, **asked))
        return self.clients[-1]

    def parked(self, worker: MovingWorker, **options: Any) -> MovingClient:
        """One that has the three rows."""
        client = self.client(worker, **options)
        until(lambda: not worker.streams._fanout.busy, "that it is parked")
        client.read()
        return client

    def insert(self, rows: int = 1) -> None:
        self.table.insert(rows)
        for worker in self.workers:
            worker.poll_until_quiet()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(movable, "OwnedSocket", MeteredSocket)
    scene = Scene()
    yield scene
    end([worker.streams for worker in scene.workers], scene.clients)


def rows_come(client: MovingClient, *ids: int) -> None:
    def fact() -> bool:
        client.read()
        return len(client.ids) >= len(ids)

    until(fact, f"the rows {ids}")
    assert client.ids == [*ids]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_parked_stream_goes_on_at_the_other_worker(scene: Scene, chunked: bool) -> None:
    giver, taker = scene.worker(), scene.worker()
    client = scene.parked(giver, chunked=chunked)
    move(giver.streams, taker.streams)
    assert (len(giver.streams), len(taker.streams)) == (0, 1)
    scene.insert(2)
    rows_come(client, 1, 2, 3, 4, 5)
    assert client.kinds == ["start", *["message"] * 3, "live", *["message"] * 2]
