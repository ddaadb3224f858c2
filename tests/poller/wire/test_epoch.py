"""The epoch of an id: the history's name, and when the id was given."""

import pytest

from poller.wire.epoch import FIRST_MINUTE, Salt, is_valid

UNSALTED = Salt()

NAME = "aaaaaa0000"
REWRITTEN = "aaaaaa1111"
OTHER = "bbbbbb0000"


def valid(epoch: str, position: int = 5, salt: Salt = UNSALTED, lowest: int = 3) -> bool:
    return is_valid(epoch, position, {NAME}, salt, lowest)


def test_an_epoch_is_the_name_and_the_minute() -> None:
    assert Salt().at(FIRST_MINUTE + 255).epoch(NAME) == f"{NAME}0000ff"
    assert Salt().epoch(NAME) == NAME  # a database that tells no time


def test_the_name_has_to_be_known() -> None:
    assert valid(f"{NAME}0000ff")
    assert not valid(f"{OTHER}0000ff")
    assert not valid("beef")


@pytest.mark.parametrize(
    ("position", "lowest", "expected"),
    [(5, 3, True), (3, 3, True), (2, 3, False), (5, 0, False), (0, 3, True)],
)
def test_a_rewritten_table_is_the_same_if_a_row_up_to_the_position_is_left(
    position: int, lowest: int, *, expected: bool
) -> None:
    assert valid(f"{REWRITTEN}0000ff", position, lowest=lowest) is expected


def test_after_a_restart_of_ids_those_of_before_are_void() -> None:
    before = Salt().at(FIRST_MINUTE + 10)
    after = before.void_before()
    assert not valid(before.epoch(NAME), salt=after)
    assert not valid(before.epoch(REWRITTEN), salt=after)
    assert valid(after.epoch(NAME), salt=after)


def test_what_another_worker_gave_later_is_good() -> None:
    mine = Salt().at(FIRST_MINUTE + 10).void_before()
    never_knew = Salt().at(FIRST_MINUTE + 11)
    assert valid(never_knew.epoch(NAME), salt=mine)
    assert valid(mine.epoch(NAME), salt=never_knew)


def test_a_clock_that_is_set_back_revives_nothing() -> None:
    ahead = Salt().at(FIRST_MINUTE + 500)
    after = ahead.at(FIRST_MINUTE + 10).void_before()
    assert not valid(ahead.epoch(NAME), salt=after)
    assert after.at(FIRST_MINUTE + 20) == after
