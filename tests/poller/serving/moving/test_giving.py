"""A giver and takers in one process, over real sockets: who takes what, and why not."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import gevent
import msgspec
import pytest
from prometheus_client import REGISTRY

from poller.serving.moving import circle, protocol, taker
from poller.serving.moving.circle import Circle, Sibling
from poller.serving.moving.giver import Giver
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import Batch, Go, Got, Hello, Link, State
from poller.serving.moving.stock import Shelf
from tests.harness.greenlets import until
from tests.harness.logged import logged
from tests.poller.serving.moving.writers import FEED, FORM, Application, Numbers, Worker, frames

Arrive = Callable[..., Worker]
Clients = Callable[[int], tuple[list[socket.socket], list[socket.socket]]]
KEY = ("", FEED, FORM)


def refusals(reason: str) -> float:
    labels = {"feed": "numbers", "reason": reason}
    return REGISTRY.get_sample_value("rowcast_hand_over_refused_total", labels) or 0.0


class Old:
    """A worker that gives."""

    def __init__(self, marks: Marks, ours: list[socket.socket]) -> None:
        self.numbers = Numbers(ours)
        self.circle = Circle(marks, Name(1, 1))
        self.giver = Giver(0.0)
        self.shelf: Shelf = Application(self.numbers).shelves()[FEED]

    def meet(self, state: State = State.READY) -> Sibling:
        """The one that is there."""

        def met() -> bool:
            self.circle.look()
            return bool(self.circle.in_state(state))

        until(met, f"a worker that is {state}")
        return self.circle.in_state(state)[0]

    def give(self, to: Sibling, most: int = 1_000) -> int:
        return self.giver.give(to, KEY, self.shelf, most)


Make = Callable[[int], tuple[Old, list[socket.socket]]]


@pytest.fixture
def old(
    marks: Marks, clients: Clients
) -> Iterator[Callable[[int], tuple[Old, list[socket.socket]]]]:
    made: list[Old] = []

    def make(streams: int) -> tuple[Old, list[socket.socket]]:
        ours, theirs = clients(streams)
        made.append(Old(marks, ours))
        return made[-1], theirs

    yield make
    for one in made:
        one.circle.close()
        for stream in [*one.numbers.writing, *one.numbers.taken_out]:
            stream.client.close()


def write_once(*numbers: Numbers) -> None:
    for one in numbers:
        for stream in one.writing:
            stream.write()


def test_all_that_is_given_goes_on_where_it_was(old: Make, arrive: Arrive) -> None:
    giving, theirs = old(5)
    new = arrive(2)
    write_once(giving.numbers)
    assert giving.give(giving.meet()) == 5
    until(lambda: len(new.numbers) == 5, "all are adopted")
    write_once(giving.numbers, new.numbers)
    for client in theirs:
        assert frames(client.recv(1_000)) == [0, 1, 2]
    assert len(giving.numbers) == 0


def test_what_is_taken_is_counted_and_told_once(old: Make, arrive: Arrive) -> None:
    giving, _ = old(5)
    arrive(2)
    with logged() as lines:
        to = giving.meet()
        assert [giving.give(to, 2), giving.give(to, 2), giving.give(to, 2)] == [2, 2, 1]
        giving.circle.close()
        until(lambda: lines, "a line in the log")
        gevent.sleep(0)
    (line,) = [line for line in lines if line["event"] == "streams taken"]
    assert (line["streams"], line["not_fit"]) == (5, 0)


def test_what_two_gave_that_end_at_once_is_told_by_the_second(
    old: Make, arrive: Arrive, marks: Marks
) -> None:
    giving, _ = old(5)
    new = arrive(2)
    asking = Circle(marks, Name(1, 3))
    with logged() as lines:
        assert giving.give(giving.meet()) == 5
        asking.look()
        until(lambda: len(new.taker._serving) == 2, "another one that asks")
        giving.circle.close()
        asking.close()
        until(lambda: not new.taker._serving, "both have gone")
    told = [line["streams"] for line in lines if line["event"] == "streams taken"]
    assert told == [5]


def test_one_without_a_descriptor_for_a_giver_asks_again_later(
    arrive: Arrive, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop would tell it again and again, and nothing else would run."""
    new, asked = arrive(2), []
    listener = new.taker._listener

    class Full:
        def accept(self) -> None:
            asked.append(1)
            monkeypatch.setattr(new.taker, "_listener", listener)
            raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(new.taker, "_listener", Full())
    later: list[Callable[[], None]] = []
    monkeypatch.setattr(gevent, "spawn_later", lambda _, call: later.append(call))
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connected.connect(str(marks.socket(new.name)))
    until(lambda: asked, "it is told")
    for _ in range(5):
        gevent.sleep(0.001)
    assert not new.taker._serving, "at once"
    (ask_again,) = later
    ask_again()
    until(lambda: new.taker._serving, "it has asked again")
    connected.close()


def test_a_full_worker_takes_what_it_has_room_for(old: Make, arrive: Arrive) -> None:
    giving, _ = old(5)
    new = arrive(2, room=3)
    new.application.admission.count(None, 1)
    to = giving.meet()
    assert giving.give(to) == 2
    assert giving.give(to) == 0, "and is not asked again"
    assert len(giving.numbers.writing) == 3


def test_room_that_went_meanwhile_is_a_refusal(old: Make, arrive: Arrive) -> None:
    giving, theirs = old(2)
    new, before = arrive(2, room=3), refusals("full")
    to = giving.meet()
    new.application.admission.count(None, 3)
    assert giving.give(to) == 0
    assert refusals("full") == before + 1
    write_once(giving.numbers)
    assert frames(theirs[0].recv(100)) == [0, 1], "put back, and served on"


@pytest.mark.parametrize(("change", "reason"), [
    (lambda worker: setattr(worker, "ending", True), "not ready"),
    (lambda worker: setattr(worker.application, "ready", False), "not ready"),
    (lambda worker: setattr(worker.application, "shelves", dict), "no such feed"),
])  # fmt: skip
def test_a_worker_that_cannot_serve_them_takes_nothing(
    old: Make, arrive: Arrive, change: Callable[[Worker], None], reason: str
) -> None:
    giving, _ = old(2)
    new, before = arrive(2), refusals(reason)
    to = giving.meet()
    with mock.patch.object(taker, "LOOK_S", 60):  # it has not told yet
        gevent.sleep(0.12)
        change(new)
        assert giving.give(to) == 0
    assert refusals(reason) == before + 1
    assert len(giving.numbers.writing) == 2


class Luggage(msgspec.Struct, frozen=True):
    """Of another version, with something more."""

    next: int
    more: str = "x"


def test_luggage_that_is_not_known_is_refused(old: Make, arrive: Arrive) -> None:
    giving, _ = old(2)
    arrive(2)
    to = giving.meet()
    taken_out = giving.numbers.take_out

    def with_more(most: int) -> list[object]:
        return [(stream, Luggage(one.next)) for stream, one in taken_out(most)]

    with mock.patch.object(giving.numbers, "take_out", with_more):
        assert giving.give(to) == 0
    assert giving.give(to) == 0, "it refuses this feed for good"
    assert len(giving.numbers.writing) == 2


def test_a_stream_that_does_not_fit_ends_and_the_others_go_on(old: Make, arrive: Arrive) -> None:
    giving, theirs = old(3)
    new = arrive(2, Numbers(unfit=[2]))
    assert giving.give(giving.meet()) == 3
    until(lambda: len(new.numbers) == 2, "two are adopted")
    assert [client.recv(100) for client in theirs] == [b"0\n", b"", b"0\n"]


def test_a_worker_of_another_version_is_given_nothing(old: Make, arrive: Arrive) -> None:
    giving, _ = old(2)
    arrive(2)
    with mock.patch.object(circle, "VERSION", "0.0.0"):
        to = giving.meet(State.NEVER)
        assert to.is_of_another_version


@pytest.mark.parametrize("side", ["giver", "taker"])
def test_a_process_of_another_user_is_refused(old: Make, arrive: Arrive, side: str) -> None:
    giving, _ = old(1)
    new = arrive(2)
    asked = []

    def another(link: Link) -> int:
        asked.append(link)
        return os.geteuid() + 1 if (len(asked) == 1) == (side == "giver") else os.geteuid()

    with mock.patch.object(Link, "peer_uid", property(another)), logged() as lines:
        giving.circle.look()
        until(lambda: len(asked) >= 2 and not new.taker._serving, "nobody serves")
    for one in giving.circle.siblings:
        one.listen()
    assert giving.circle.in_state(State.READY) == []
    if side == "taker":
        assert "a worker of another user is refused" in {line["event"] for line in lines}


def test_the_socket_of_a_dead_worker_is_removed(marks: Marks) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(marks.socket(Name(1, 7))))
    dead.close()
    Circle(marks, Name(1, 1)).look()
    assert marks.here() == set()


def test_a_worker_that_does_not_answer_gives_the_streams_back(old: Make, marks: Marks) -> None:
    giving, theirs = old(2)
    with silent_worker(marks) as (link, listener):
        to = giving.meet()
        before = refusals("no answer")
        with mock.patch("poller.serving.moving.giver.ANSWER_S", 0.05):
            assert giving.give(to) == 0
        assert refusals("no answer") == before + 1
        assert len(giving.numbers.writing) == 2
        link.close()
        listener.close()
    write_once(giving.numbers)
    assert frames(theirs[1].recv(100)) == [0, 1]


class silent_worker:  # noqa: N801 - as a context manager
    """One that says hello, and nothing more."""

    def __init__(self, marks: Marks) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(marks.socket(Name(1, 2))))
        self._listener.listen()
        self._listener.setblocking(False)
        self._marks = marks

    def __enter__(self) -> tuple[Link, socket.socket]:
        self._greeting = gevent.spawn(self._greet)
        self.links: list[Link] = []
        return Link(socket.socket()), self._listener

    def _greet(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except BlockingIOError:
                gevent.sleep(0.001)
                continue
            link = Link(connected)
            link.say(Hello(protocol.VERSION, State.READY, 0, {"": 10}, [KEY]))
            self.links.append(link)

    def __exit__(self, *_: object) -> None:
        self._greeting.kill()
        for link in self.links:
            link.close()
        self._listener.close()


def test_descriptors_that_did_not_come_are_a_refusal_with_the_room_there_is(
    old: Make, arrive: Arrive
) -> None:
    """Few are left: the kernel drops what is too much without an error."""
    giving, theirs = old(40)
    new, before = arrive(2), refusals("descriptors")
    to = giving.meet()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = 30
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/dev/fd").iterdir()]) - 1 + free, hard))
    try:
        assert giving.give(to) == 0
        assert refusals("descriptors") == before + 1
        assert 0 < to.room(KEY) <= free
        given = giving.give(to)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 0 < given <= free
    until(lambda: len(new.numbers) == given, "they are adopted")
    write_once(giving.numbers, new.numbers)
    assert all(frames(client.recv(100))[0] == 0 for client in theirs)


@pytest.mark.parametrize("message", [Got(1), Go(), Hello("1", State.READY)])
def test_a_message_out_of_order_ends_the_connection(
    marks: Marks, arrive: Arrive, message: protocol.Message
) -> None:
    new = arrive(2)
    link = connected(marks)
    link.hear(10)
    link.say(message)
    until(lambda: not new.taker._serving, "the connection ends")
    link.close()


@pytest.mark.parametrize("data", [b"\xff", b"{}", b"x" * (protocol.MOST_BYTES + 1)])
def test_nonsense_with_descriptors_leaves_none(marks: Marks, arrive: Arrive, data: bytes) -> None:
    new = arrive(2)
    link = connected(marks)
    link._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(data))
    link.hear(10)
    ours, theirs = socket.socketpair()
    socket.send_fds(link._socket, [data], [ours.fileno()])
    ours.close()
    until(lambda: not new.taker._serving, "the connection ends")
    assert theirs.recv(1) == b"", "no copy is left"
    theirs.close()
    link.close()


def test_copies_are_closed_if_another_message_comes_instead_of_go(
    marks: Marks, arrive: Arrive
) -> None:
    arrive(2)
    link = connected(marks)
    link.hear(10)
    ours, theirs = socket.socketpair()
    raw = msgspec.Raw(msgspec.msgpack.encode({"next": 0}))
    link.say(Batch(KEY, [raw]), [ours.fileno()])
    while not isinstance(link.hear(10).message, Got):
        pass
    ours.close()
    link.say(Batch(KEY, []))
    until(lambda: ended(theirs), "the copy is closed")
    theirs.close()
    link.close()


def connected(marks: Marks) -> Link:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.connect(str(marks.socket(Name(1, 2))))
    return Link(made)


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
