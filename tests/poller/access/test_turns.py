"""Who may catch up when: one stream of an address at a time, few in all, and no address twice
before another."""

from __future__ import annotations

import gc

import gevent
import pytest

from poller.access import turns
from poller.access.turns import AT_ONCE, Turns

BOUND_S = 60
ANN, BEN, CYD = "198.51.100.1", "198.51.100.2", "2001:db8::1"


class Line:
    """Streams that take one turn each, in which they stay until they are let go."""

    def __init__(self, *addresses: str | None) -> None:
        self.turns = Turns()
        self.inside: list[str | None] = []
        self.went: list[str | None] = []
        self._streams = [(address, self.turns.of(address, "posts")) for address in addresses]
        self._let_go: list[gevent.event.Event] = []
        self._greenlets = [gevent.spawn(self._stand, *one) for one in self._streams]
        self.settle()

    def _stand(self, address: str | None, turn: turns.Turn) -> None:
        leave = gevent.event.Event()
        with turn():
            self.inside.append(address)
            self._let_go.append(leave)
            try:
                leave.wait()
            finally:
                self.inside.remove(address)
                self._let_go.remove(leave)
        self.went.append(address)

    def settle(self) -> None:
        for _ in range(10):
            gevent.sleep(0.001)

    def next(self) -> None:
        self._let_go[0].set()
        self.settle()

    def kill(self, at: int) -> None:
        self._greenlets[at].kill()
        self.settle()

    def finish(self) -> None:
        with gevent.Timeout(BOUND_S):
            while not all(one.dead for one in self._greenlets):
                for leave in self._let_go:
                    leave.set()
                gevent.sleep(0.001)


def test_one_address_works_at_one_stream_while_others_come_at_once() -> None:
    line = Line(ANN, ANN, ANN, BEN)
    assert line.inside == [ANN, BEN]
    line.next()
    assert (line.went, line.inside) == ([ANN], [BEN, ANN])
    line.finish()


def test_streams_of_an_ipv6_network_are_of_one_client() -> None:
    line = Line("2001:db8::1", "2001:db8::2")
    assert len(line.inside) == 1
    line.finish()


def test_few_work_at_once_whoever_they_are() -> None:
    line = Line(*[f"198.51.100.{n}" for n in range(9)])
    assert len(line.inside) == AT_ONCE
    line.finish()


@pytest.mark.parametrize("everybody", ["127.0.0.1", "", None])
def test_who_may_be_everybody_waits_in_line_with_the_others(everybody: str | None) -> None:
    line = Line(everybody, everybody, everybody, ANN)
    assert line.inside == [everybody] * AT_ONCE
    for _ in range(AT_ONCE):
        line.next()
    assert ANN in line.inside
    line.finish()


def test_a_stream_that_is_killed_in_its_turn_or_before_it_holds_up_nobody() -> None:
    line = Line(ANN, ANN, ANN)
    line.kill(1)
    line.kill(0)
    assert line.inside == [ANN]
    line.finish()


def test_an_address_is_forgotten_with_its_last_stream() -> None:
    line = Line(ANN, BEN, CYD)
    line.finish()
    assert len(line.turns._by_client) == 3
    line._streams.clear()
    line._greenlets.clear()
    gc.collect()
    assert len(line.turns._by_client) == 0


def test_a_table_that_somebody_has_locked_holds_up_no_other_feed() -> None:
    """Its clients hold their turns for as long as its queries wait."""
    turns = Turns()
    locked = [turns.of(address, "locked") for address in ("192.0.2.1", "192.0.2.2")]
    with locked[0](), locked[1](), gevent.Timeout(BOUND_S):
        for address in ("192.0.2.1", "192.0.2.3", "127.0.0.1"):
            with turns.of(address, "free")():
                pass
