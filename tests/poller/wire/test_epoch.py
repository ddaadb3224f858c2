"""The epoch of an id: the history's name, and when the id was given."""

import pytest

from poller.wire.epoch import FIRST_SECOND, Salt, is_valid

UNSALTED = Salt()

NAME = "aaaaaa0000"
REWRITTEN = "aaaaaa1111"
OTHER = "bbbbbb0000"


def valid(epoch: str, position: int = 5, salt: Salt = UNSALTED, lowest: int = 3) -> bool:
    return is_valid(epoch, position, {NAME}, salt, lowest)


def test_an_epoch_is_the_name_and_the_time() -> None:
    assert Salt().at(FIRST_SECOND + 255).epoch(NAME) == f"{NAME}000073"
    assert Salt().epoch(NAME) == NAME  # a database that tells no time


def test_the_name_has_to_be_known() -> None:
    assert valid(f"{NAME}000073")
    assert not valid(f"{OTHER}000073")
    assert not valid("beef")


@pytest.mark.parametrize(
    ("position", "lowest", "expected"),
    [(5, 3, True), (3, 3, True), (2, 3, False), (5, 0, False), (0, 3, True)],
)
def test_a_rewritten_table_is_the_same_if_a_row_up_to_the_position_is_left(
    position: int, lowest: int, *, expected: bool
) -> None:
    assert valid(f"{REWRITTEN}000073", position, lowest=lowest) is expected


def test_after_a_restart_of_ids_those_of_before_are_void() -> None:
    before = Salt().at(FIRST_SECOND + 10)
    after = before.void_before()
    assert not valid(before.epoch(NAME), salt=after)
    assert not valid(before.epoch(REWRITTEN), salt=after)
    assert valid(after.epoch(NAME), salt=after)


def test_what_another_worker_gave_later_is_good() -> None:
    mine = Salt().at(FIRST_SECOND + 10).void_before()
    never_knew = Salt().at(FIRST_SECOND + 11)
    assert valid(never_knew.epoch(NAME), salt=mine)
    assert valid(mine.epoch(NAME), salt=never_knew)


def test_a_clock_that_is_set_back_revives_nothing() -> None:
    ahead = Salt().at(FIRST_SECOND + 500)
    after = ahead.at(FIRST_SECOND + 10).void_before()
    assert not valid(ahead.epoch(NAME), salt=after)
    assert after.at(FIRST_SECOND + 20) == after


def test_all_workers_give_the_same_ids_after_their_first_minute() -> None:
    one, other = Salt().at(FIRST_SECOND + 3), Salt().at(FIRST_SECOND + 50)
    assert one.epoch(NAME) != other.epoch(NAME)
    later = FIRST_SECOND + 197
    assert one.at(later).epoch(NAME) == other.at(later).epoch(NAME) == f"{NAME}000050"


def test_a_worker_that_starts_a_second_after_ids_started_again_is_believed_at_once() -> None:
    """Within the same minute, in which others find out."""
    saw_it = Salt().at(FIRST_SECOND + 1000).at(FIRST_SECOND + 2000).void_before()
    saw_it_later = Salt().at(FIRST_SECOND + 1000).at(FIRST_SECOND + 2004).void_before()
    never_knew = Salt().at(FIRST_SECOND + 2006)
    for one in (saw_it, saw_it_later, never_knew):
        given = one.at(FIRST_SECOND + 2007).epoch(NAME)
        assert all(valid(given, salt=other) for other in (saw_it, saw_it_later, never_knew))


def test_no_id_claims_to_have_been_given_later_than_it_was() -> None:
    salt = Salt()
    for now in range(FIRST_SECOND + 7, FIRST_SECOND + 400):
        salt = salt.at(now)
        assert now - 59 <= salt.time + FIRST_SECOND <= now
