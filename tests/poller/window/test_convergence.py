"""Whatever happens to a query and to its clients: each holds just the query's answer in the end.

The campaign runs many more of these, and real databases: `make windows`.
"""

from collections.abc import Iterator

import pytest

from poller.window import course
from poller.window.picture import Change, Picture
from tests.harness.windows import converged

RUNS = 400
RUNS_OF_A_MUTANT = 700  # the first that diverges is known: the runs are the same each time


@pytest.mark.parametrize("first", range(0, RUNS, 100))
def test_clients_hold_the_querys_answer_two_looks_after_the_last_change(first: int) -> None:
    assert [seed for seed in range(first, first + 100) if not converged(seed)] == []


def test_the_same_where_each_chunk_is_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "CHUNK_BYTES", 1)
    assert [seed for seed in range(RUNS, RUNS + 100) if not converged(seed)] == []


# -- mutants: an id that says more, or less, than its client holds ---------------------------------


def token_of_the_look(picture: Picture, later: Picture) -> Iterator[Change]:
    """Each frame of a look has the token of the whole look."""
    for change in changes(picture, later):
        yield change._replace(token=later.token)


def token_at_its_end_only(picture: Picture, later: Picture) -> Iterator[Change]:
    """Each frame but the last has the token from before the look."""
    found = [*changes(picture, later)]
    for change in found[:-1]:
        yield change._replace(token=picture.token)
    yield from found[-1:]


changes = Picture.changes_to


@pytest.mark.parametrize("mutant", [token_of_the_look, token_at_its_end_only])
def test_a_token_that_does_not_say_what_the_client_holds_diverges(
    mutant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picture, "changes_to", mutant)
    assert not all(converged(seed, truthful=False) for seed in range(RUNS_OF_A_MUTANT))
