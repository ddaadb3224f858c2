"""How often somebody may be wrong about a token."""

from poller.access.guesses import MOST, PER_S, Guesses
from tests.harness.logged import logged


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_after_some_wrong_ones_an_address_has_to_wait_and_others_need_not() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    with logged() as lines:
        for _ in range(MOST):
            assert not guesses.too_many("192.0.2.1")
            guesses.wrong("192.0.2.1")
    assert guesses.too_many("192.0.2.1")
    assert not guesses.too_many("192.0.2.2")
    assert [(one["event"], one["address"]) for one in lines] == [
        ("an operator's token is guessed at", "192.0.2.1")
    ]
    clock.now += PER_S / 2
    assert guesses.too_many("192.0.2.1")
    assert guesses.wait_s() == PER_S / 2
    clock.now += PER_S / 2
    assert not guesses.too_many("192.0.2.1")


def test_a_household_is_one_and_so_are_those_without_an_address() -> None:
    guesses = Guesses(Clock())
    for number in range(MOST):
        guesses.wrong(f"2001:db8::{number}")
        guesses.wrong(None)
    assert guesses.too_many("2001:db8::ffff")
    assert guesses.too_many("")
