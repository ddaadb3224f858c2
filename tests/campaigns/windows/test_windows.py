"""The oracle of feeds by window in its short form; `make windows` is the long one."""

import pytest

from tests.campaigns.windows.story import run
from tests.campaigns.windows.subjects import SUBJECTS, Subject

BY_NAME = {subject.name: subject for subject in SUBJECTS}
ON_A_SERVER = [
    ("postgresql", "uuid key"),
    ("postgresql", "composite key"),
    ("postgresql", "SELECT with a filter"),
    ("mariadb", "integer key"),
    ("mariadb", "text key"),
    ("mariadb", "view with a join"),
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_each_client_holds_the_querys_answer(subject: Subject, sqlite_url: str) -> None:
    assert run(sqlite_url, subject, seed=1) == []


@pytest.mark.parametrize(("database", "subject"), ON_A_SERVER)
def test_the_same_on_a_server(database: str, subject: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(f"{database}_url")
    assert run(str(url), BY_NAME[subject], seed=2) == []
