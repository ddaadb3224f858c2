"""A new worker asks for its share; those above the mean give it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import gevent
import pytest

from poller.serving import siblings
from poller.serving.moving import sharing
from poller.serving.moving.circle import Circle
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.sharing import Sharing
from poller.serving.siblings import Siblings
from tests.harness.greenlets import until
from tests.poller.serving.moving.writers import Numbers, Worker

Arrive = Callable[..., Worker]
Clients = Callable[[int], tuple[list[socket.socket], list[socket.socket]]]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with mock.patch.object(sharing, "LOOK_S", 0.01):
        yield


@pytest.fixture
def asked() -> Iterator[list[object]]:
    """What is said to the other workers."""
    said: list[object] = []
    with mock.patch.object(siblings, "ours", mock.Mock(send=lambda *what: said.append(what))):
        yield said


@pytest.fixture
def worker(arrive: Arrive, clients: Clients) -> Callable[[int, int], Worker]:
    """worker(age, streams)"""

    def make(age: int, streams: int) -> Worker:
        return arrive(age, Numbers(clients(streams)[0]))

    return make


Make = Callable[[int, int], Worker]


def sharing_of(marks: Marks, one: Worker) -> Sharing:
    return Sharing(marks, one.name, one.stock, lambda: one.ending)


def test_a_worker_with_less_than_its_share_asks(
    worker: Make, marks: Marks, asked: list[object]
) -> None:
    worker(1, 20), worker(2, 10)
    sharing_of(marks, worker(3, 0))._ask()
    assert asked == [("share", "1-3")]


@pytest.mark.parametrize("streams", [(0, 0, 0), (10, 10, 10), (10, 10, 50), (11, 11, 10)])
def test_a_worker_with_enough_does_not(
    worker: Make, marks: Marks, asked: list[object], streams: tuple[int, int, int]
) -> None:
    one, two, three = streams
    worker(1, one), worker(2, two)
    sharing_of(marks, worker(3, three))._ask()
    assert asked == []


def test_it_waits_while_somebody_ends_or_comes(
    worker: Make, marks: Marks, asked: list[object]
) -> None:
    """What these have still goes to somebody."""
    ending, coming = worker(1, 20), Name(1, 4)
    ending.ending = True
    marks.announce(coming)
    asking = gevent.spawn(sharing_of(marks, worker(3, 0))._ask)
    with mock.patch.object(Circle, "look", autospec=True, side_effect=Circle.look) as look:
        until(lambda: look.call_count > 3, "it looks")
        ending.taker.close()
        until(lambda: look.call_count > 6, "it looks again")
        assert asked == []
        marks.arrived(coming)
        until(asking.ready, "it is calm")
    assert asked == []  # nobody has any


def test_it_waits_for_one_that_leaves_and_cannot_be_reached_any_more(
    worker: Make, marks: Marks, asked: list[object]
) -> None:
    """Its socket is gone, and its streams are still to come."""
    worker(1, 20)
    marks.leave(Name(1, 2))
    asking = gevent.spawn(sharing_of(marks, worker(3, 0))._ask)
    looks = Circle.look
    with mock.patch.object(Circle, "look", autospec=True, side_effect=looks) as look:
        until(lambda: look.call_count > 3, "it looks")
        assert asked == []
        marks.forget(Name(1, 2))
        until(asking.ready, "it is calm")
    assert asked == [("share", "1-3")]


def test_a_worker_that_is_not_ready_does_not_ask_yet(
    worker: Make, marks: Marks, asked: list[object]
) -> None:
    worker(1, 20)
    new = worker(3, 0)
    new.application.ready = False
    asking = gevent.spawn(sharing_of(marks, new)._ask)
    gevent.sleep(0.05)
    assert asked == []
    new.application.ready = True
    until(asking.ready, "it asks")
    assert asked == [("share", "1-3")]


def test_all_above_the_mean_give_what_is_above(worker: Make, marks: Marks) -> None:
    one, two, three, new = worker(1, 30), worker(2, 20), worker(3, 6), worker(4, 0)
    for old in (one, two, three):
        sharing_of(marks, old)._give(str(new.name))
    until(lambda: len(new.numbers) >= 10, "the new one has its share")
    total = [len(each.numbers) for each in (one, two, three, new)]
    assert sum(total) == 56
    # The mean was 14: 16 and 6 above it, for 8 and 14 below. The second knew what the first gave.
    assert total[2] == 6
    assert 9 <= total[3] <= 14
    assert total[0] > 14


def test_of_two_that_are_new_each_gets_its_own(worker: Make, marks: Marks) -> None:
    old, one, two = worker(1, 30), worker(2, 0), worker(3, 0)
    giving = sharing_of(marks, old)
    giving._give(str(one.name))
    until(lambda: len(one.numbers) == 10, "half of what is above the mean")
    giving._give(str(two.name))
    until(lambda: len(two.numbers) == 10, "and the other half")
    assert len(old.numbers) == 10


@pytest.mark.parametrize("name", ["1-9", "2-3", "nonsense"])
def test_a_worker_that_is_not_there_or_of_another_master_gets_nothing(
    worker: Make, marks: Marks, name: str
) -> None:
    old = worker(1, 30)
    sharing_of(marks, old)._give(name)
    assert len(old.numbers) == 30


def test_it_is_asked_by_a_datagram(worker: Make, marks: Marks, tmp_path: Path) -> None:
    old, new = worker(1, 30), worker(2, 0)
    here, there = Siblings(), Siblings()
    for one in (here, there):
        one.join(str(marks.folder))
    with mock.patch.object(siblings, "ours", here):
        sharing_of(marks, old).begin()
    there.send("share", str(new.name))
    until(lambda: len(new.numbers) == 15, "it has its half")
    here.leave()
    there.leave()
    old.ending = True
    gevent.sleep(0.05)
