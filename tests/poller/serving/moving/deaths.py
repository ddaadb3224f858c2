"""Two worker processes, of which one dies, or stands still, at a chosen point of a hand-over.

`python -m tests.poller.serving.moving.deaths` runs every point and prints what the clients saw, as
JSON. It is a program of its own, without threads, since it forks for each case.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from poller.serving.moving import circle, giver, protocol
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import Batch, Go, Got, Hello, Key, Link, State
from poller.serving.moving.taker import Visit
from tests.poller.serving.moving.writers import FEED, FORM, Application, Numbers, Worker, pair

STREAMS = 5
AT_ONCE = 8  # cases
BATCH = 3  # so that something moves before and after
GOES_ON = 50  # frames more, and a stream is certainly served
PATIENCE_S = 30.0
STANDS_STILL_S = 0.6
giver.ANSWER_S = 0.3

GIVER_SAYS = (Batch, Go)
TAKER_SAYS = (Hello, Got)
GIVER_POINTS = [
    *(f"{when} {what}" for what in ("take_out", "gone") for when in ("before", "after")),
    *(f"{when} say {one.__name__}" for one in GIVER_SAYS for when in ("before", "after")),
    *(f"{when} hear {one.__name__}" for one in TAKER_SAYS for when in ("before", "after")),
]
TAKER_POINTS = [
    *(f"{when} adopt {number}" for number in (1, 2, 3, 4) for when in ("before", "after")),
    *(f"{when} say {one.__name__}" for one in TAKER_SAYS for when in ("before", "after")),
    *(f"after hear {one.__name__}" for one in GIVER_SAYS),
]
KILL, STOP = "kill", "stop"


@dataclass
class Seen:
    """What the clients of one case saw. `served`: those that got more at the end."""

    case: str
    reached: bool = False
    doubled: int = 0
    lost: int = 0
    cut: int = 0
    ended: int = 0
    served: int = 0
    problems: list[str] = field(default_factory=list)


class Fate:
    """Strikes this process, once, when it comes to the point."""

    def __init__(self, point: str, what: str, reached: int) -> None:
        self._point, self._what, self._reached = point, what, reached

    def at(self, point: str) -> None:
        if point != self._point:
            return
        self._point = ""
        os.write(self._reached, b"!")
        os.kill(os.getpid(), signal.SIGKILL if self._what == KILL else signal.SIGSTOP)

    def over(self, link: type[Link]) -> None:
        say, hear = link.say, link.hear

        def fated_say(self_: Link, message: protocol.Message, *more: Any) -> None:
            self.at(f"before say {type(message).__name__}")
            say(self_, message, *more)
            self.at(f"after say {type(message).__name__}")

        def fated_hear(self_: Link, within_s: float | None = None) -> protocol.Heard:
            heard = hear(self_, within_s)
            self.at(f"before hear {type(heard.message).__name__}")
            self.at(f"after hear {type(heard.message).__name__}")
            return heard

        link.say, link.hear = fated_say, fated_hear  # type: ignore[method-assign, assignment]


def give_all(marks: Marks, numbers: Numbers, fate: Fate) -> None:
    """The giver's process: gives until the other takes nothing more, and serves what is left."""
    fate.over(Link)
    gevent.spawn(numbers.write)
    others, giving = circle.Circle(marks, Name(1, 1)), giver.Giver(0.0)
    shelf = Application(numbers).shelves()[FEED]
    key: Key = ("", FEED, FORM)
    while len(numbers):
        others.look()
        for other in others.in_state(State.READY):
            while giving.give(other, key, shelf, BATCH):
                pass
        gevent.sleep(0.005)


def take(marks: Marks, numbers: Numbers, fate: Fate) -> None:
    fate.over(Link)
    Worker(marks, 2, numbers).taker.open()
    numbers.write()


def two_messages() -> None:
    """The mutant: `got` itself is the switch, and the taker writes before it has said that."""
    adopt = Visit._adopt

    def never_wait(self: Visit, batch: Batch, copies: list[int]) -> None: ...

    def adopt_and_say(self: Visit, batch: Batch, sockets: list[Any], luggage: list[Any]) -> None:
        adopt(self, batch, sockets, luggage)
        gevent.sleep(0.02)  # so that it has written something, as it would on a busy machine
        self._link.say(Got(self._stock.room("")))

    def agree(to: circle.Sibling, batch: Batch, descriptors: list[int]) -> Got | protocol.No:
        to.link.say(batch, descriptors)
        return to.answer(giver.ANSWER_S)

    Visit._wait_for_go, Visit._adopt = never_wait, adopt_and_say  # type: ignore[method-assign]
    giver.Giver._agree = staticmethod(agree)  # type: ignore[method-assign]


class Reading:
    """All clients' ends, in the process that looks on."""

    def __init__(self, clients: list[socket.socket], told: int) -> None:
        self.data = {client: bytearray() for client in clients}
        self.ended: set[socket.socket] = set()
        self.reached = False
        self._told = told

    def until(self, fact: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not fact():
            assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
            self._read(0.01)

    def until_settled(self) -> None:
        """Until each stream has ended, or certainly has somebody who writes."""
        before = {client: got.count(b"\n") for client, got in self.data.items()}

        def settled() -> bool:
            left = [one for one in self.data if one not in self.ended]
            return all(self.data[one].count(b"\n") > before[one] + GOES_ON for one in left)

        self.until(settled, "each stream is served by somebody, or has ended")

    def rest(self) -> None:
        """What is still in the kernel, once nobody writes any more."""
        while len(self.ended) < len(self.data):
            self._read(1.0)

    def _read(self, within_s: float) -> None:
        waiting = [one for one in self.data if one not in self.ended]
        watched: list[int | socket.socket] = [self._told, *waiting]
        for one in select.select(watched, [], [], within_s)[0]:
            if isinstance(one, int):
                self.reached = self.reached or bool(os.read(one, 1))
            elif got := one.recv(65_536):
                self.data[one] += got
            else:
                self.ended.add(one)


def judge(data: bytes, seen: Seen) -> None:
    whole, _, cut = data.rpartition(b"\n")
    numbers = [int(one) for one in whole.split(b"\n")] if whole else []
    seen.cut += bool(cut)
    seen.doubled += len(numbers) - len({*numbers})
    seen.lost += len({*range(max(numbers, default=-1) + 1)} - {*numbers})


def fork(child: Callable[[], None], status: int = 1) -> int:
    """`status`: of a child that comes to its end, which only one that looks on may."""
    if pid := os.fork():
        return pid
    try:
        child()
        os._exit(status)
    except BaseException as error:  # noqa: BLE001 - it must not go on as its parent would
        print(repr(error), file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def run(case: str, who: str, point: str, what: str, folder: Path) -> Seen:
    seen = Seen(case)
    pairs = [pair() for _ in range(STREAMS)]
    ours, clients = [one for one, _ in pairs], [one for _, one in pairs]
    told, reached = os.pipe()
    read = Reading(clients, told)
    fates = {one: Fate(point if one == who else "", what, reached) for one in ("giver", "taker")}

    def taking() -> None:
        close(*ours, *clients)
        take(Marks(folder), Numbers(at=fates["taker"].at), fates["taker"])

    def giving() -> None:
        close(*clients)
        give_all(Marks(folder), Numbers(ours, at=fates["giver"].at), fates["giver"])

    pids = {"taker": fork(taking), "giver": fork(giving)}
    close(*ours)
    try:
        look_on(read, pids[who], what)
        seen.reached = True
        seen.ended, seen.served = len(read.ended), len(clients) - len(read.ended)
    except AssertionError as problem:
        seen.problems.append(str(problem))
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    read.rest()
    for one in read.data.values():
        judge(bytes(one), seen)
    os.close(told)
    os.close(reached)
    close(*clients)
    return seen


def look_on(read: Reading, fated: int, what: str) -> None:
    read.until(lambda: read.reached, "the point is reached")
    if what == STOP:
        still_until = time.monotonic() + STANDS_STILL_S
        read.until(lambda: time.monotonic() > still_until, "it stood still")
        os.kill(fated, signal.SIGCONT)
    read.until_settled()


def close(*sockets: socket.socket) -> None:
    for one in sockets:
        one.close()


def cases() -> dict[str, tuple[str, str, str]]:
    """By name: who, where, and what happens to it."""
    points = [("giver", one) for one in GIVER_POINTS] + [("taker", one) for one in TAKER_POINTS]
    return {
        f"{what} {who} {point}": (who, point, what)
        for who, point in points
        for what in (KILL, STOP)
    }


def run_some(chosen: list[str], into: Path) -> None:
    results = []
    for case in chosen:
        with tempfile.TemporaryDirectory(prefix="rowcast-deaths-", dir="/tmp") as folder:
            results.append(asdict(run(case, *cases()[case], Path(folder))))
    into.write_text(json.dumps(results))


def main(mutant: bool, chosen: list[str]) -> None:
    """Several at a time: most of it is waiting for who stands still."""
    if mutant:
        two_messages()
    chosen = chosen or [*cases()]
    with tempfile.TemporaryDirectory(prefix="rowcast-deaths-") as folder:
        files = [Path(folder, str(number)) for number in range(AT_ONCE)]
        pids = [
            fork(partial(run_some, chosen[number::AT_ONCE], into), 0)
            for number, into in enumerate(files)
        ]
        for pid in pids:
            os.waitpid(pid, 0)
        json.dump([one for file in files for one in json.loads(file.read_text())], sys.stdout)


if __name__ == "__main__":
    main("--two-messages" in sys.argv, [one for one in sys.argv[1:] if not one.startswith("-")])
