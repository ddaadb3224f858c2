"""A worker that ends: whom it waits for, and how much each gets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from poller.serving.moving.circle import Circle
from poller.serving.moving.leaving import Leaving
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import State
from tests.harness.greenlets import until
from tests.harness.logged import logged
from tests.poller.serving.moving.writers import Application, Numbers, Worker, stock_of

Arrive = Callable[..., Worker]
Clients = Callable[[int], tuple[list[socket.socket], list[socket.socket]]]
LONG_S = 3_600.0
NAME = Name(1, 1)


class Old:
    """A worker that has been told to end, and has so many streams."""

    def __init__(
        self,
        marks: Marks,
        ours: list[socket.socket],
        patience_s: float = LONG_S,
        grace_s: float = LONG_S,
    ) -> None:
        self.numbers = Numbers(ours)
        self.looks = 0
        self.arriving = False
        self.leaving = Leaving(
            NAME,
            stock_of(Application(self.numbers), lambda: True),
            Circle(marks, NAME),
            grace_s,
            self._look,
            patience_s,
        )
        self.run = gevent.spawn(self.leaving.run, lambda: self.arriving)

    def _look(self) -> None:
        self.looks += 1

    def looks_again(self) -> None:
        """Twice: the first of them may have begun before."""
        seen = self.looks
        until(lambda: self.looks > seen + 2, "it looks again")

    def given(self) -> int:
        until(self.run.ready, "it has left")
        return int(self.run.get())


@pytest.fixture
def leave(marks: Marks, clients: Clients) -> Iterator[Callable[..., Old]]:
    made: list[Old] = []

    def make(streams: int, **bounds: float) -> Old:
        ours, _ = clients(streams)
        made.append(Old(marks, ours, **bounds))
        return made[-1]

    yield make
    for one in made:
        one.run.kill()
        one.leaving._circle.close()
        for stream in [*one.numbers.writing, *one.numbers.taken_out]:
            stream.client.close()


Leave = Callable[..., Old]


def test_where_nobody_comes_nothing_is_waited_for(leave: Leave) -> None:
    old = leave(3)
    assert old.given() == 0
    assert len(old.numbers.writing) == 3


def test_who_ends_too_is_not_waited_for(leave: Leave, arrive: Arrive) -> None:
    arrive(2).ending = True
    assert leave(3).given() == 0


def test_all_goes_to_those_that_stay(leave: Leave, arrive: Arrive) -> None:
    one, two = arrive(2), arrive(3)
    with logged() as lines:
        assert leave(7).given() == 7
    until(lambda: len(one.numbers) + len(two.numbers) == 7, "all are adopted")
    assert {len(one.numbers), len(two.numbers)} == {3, 4}
    (line,) = [line for line in lines if line["event"] == "streams handed over"]
    assert (line["streams"], line["left"]) == (7, 0)


def test_a_worker_that_comes_gets_its_share_kept(
    leave: Leave, arrive: Arrive, marks: Marks
) -> None:
    marks.announce(Name(1, 3))
    one, old = arrive(2), leave(8)
    until(lambda: len(one.numbers) == 4, "the one that is ready has its half")
    old.looks_again()
    assert len(one.numbers) == 4
    assert not old.numbers.loose, "those that are kept are served on"
    two = arrive(3)
    marks.arrived(Name(1, 3))
    assert old.given() == 8
    until(lambda: len(two.numbers) == 4, "and the other one its own")


def test_a_worker_that_reads_its_tables_is_waited_for(leave: Leave, arrive: Arrive) -> None:
    new = arrive(2)
    new.application.ready = False
    old = leave(3)
    old.looks_again()
    assert not old.run.ready()
    new.application.ready = True
    assert old.given() == 3


def test_who_has_not_come_in_time_is_not_waited_for(
    leave: Leave, arrive: Arrive, marks: Marks
) -> None:
    marks.announce(Name(1, 3))
    new = arrive(2)
    assert leave(8, patience_s=0.5).given() == 8, "and who is there gets the rest"
    until(lambda: len(new.numbers) == 8, "all are adopted")


def test_the_time_counts_from_the_newest_arrival(leave: Leave, marks: Marks) -> None:
    """A reload that overtakes another one ends those that were waited for."""
    marks.announce(Name(1, 2))
    old = leave(1)
    old.looks_again()
    first = old.leaving._circle.progress_at
    marks.announce(Name(1, 3))
    old.looks_again()
    assert old.leaving._circle.progress_at > first


def test_a_master_that_ends_kills_so_the_wait_is_shorter(leave: Leave, marks: Marks) -> None:
    """As the old one does when a new master took over, whose workers are not ready."""
    marks.announce(Name(2, 1))
    assert leave(1, grace_s=0.0).given() == 0
    marks.announce(Name(1, 2))
    old = leave(1, grace_s=0.0)
    old.looks_again()
    assert not old.run.ready(), "with a worker of its own to come, the master stays"


def test_what_arrives_late_moves_too(leave: Leave, arrive: Arrive, clients: Clients) -> None:
    new, old = arrive(2), leave(2)
    old.arriving = True
    until(lambda: len(new.numbers) == 2, "those that were there")
    (late,), _ = clients(1)
    old.numbers.writing |= dict.fromkeys(Numbers([late]).writing)
    until(lambda: len(new.numbers) == 3, "the one that came")
    old.arriving = False
    assert old.given() == 3


def test_full_takers_leave_the_rest_where_it_is(leave: Leave, arrive: Arrive) -> None:
    arrive(2, room=2), arrive(3, room=1)
    old = leave(5)
    assert old.given() == 3
    assert len(old.numbers.writing) == 2


def test_an_uneven_room_is_used_up(leave: Leave, arrive: Arrive) -> None:
    one, two = arrive(2, room=1), arrive(3)
    assert leave(9).given() == 9
    until(lambda: len(one.numbers) + len(two.numbers) == 9, "all are adopted")
    assert len(one.numbers) == 1


def test_a_taker_that_goes_away_is_not_waited_for(leave: Leave, arrive: Arrive) -> None:
    new = arrive(2)
    new.application.ready = False
    old = leave(2)
    old.looks_again()
    new.ending = True
    new.taker.close()
    assert old.given() == 0


def test_one_that_is_silent_is_given_up(leave: Leave, arrive: Arrive, marks: Marks) -> None:
    """A socket that nobody serves: its process stands still."""
    frozen = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    frozen.bind(str(marks.socket(Name(1, 2))))
    frozen.listen()
    began = time.monotonic()
    old = leave(1)
    old.looks_again()
    (sibling,) = old.leaving._circle.siblings
    assert sibling.state is State.SOON
    sibling._since = began - LONG_S
    assert old.given() == 0
    frozen.close()
