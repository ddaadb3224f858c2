"""Each mistake about holders and histories is found; without one the same stories show nothing."""

from pathlib import Path

import pytest

from tests.campaigns.oracle.checker import anomalies
from tests.campaigns.oracle.fence_mutants import MUTANTS
from tests.campaigns.oracle.hand import on_stage
from tests.campaigns.oracle.hand_scenarios import DATABASE, SCENARIOS, set_for
from tests.campaigns.oracle.lateness import late_rows
from tests.campaigns.oracle.patches import undone
from tests.campaigns.oracle.records import Record
from tests.campaigns.oracle.story import stories


def found(record: Record) -> set[str]:
    """The anomalies, and whether a row was late, or a client was not served to the end."""
    kinds = {one.kind for one in anomalies(record)}
    kinds |= {"late"} if late_rows(record) else set()
    served = all(
        any(frame.payload == record.sentinel for frame in client.frames)
        for client in record.clients
    )
    return kinds if served else kinds | {"unserved"}


def play(scenario: str, url: str, folder: Path) -> Record:
    with on_stage(set_for(scenario, url), folder) as stage:
        SCENARIOS[scenario](stage)
        return stage.end()


def database_of(scenario: str) -> str:
    return DATABASE.get(scenario, "postgresql")


@pytest.mark.parametrize(
    ("mutant", "database_url"),
    [(name, database_of(planted.scenario)) for name, planted in MUTANTS.items()],
    indirect=["database_url"],
)
def test_mistake_is_found(mutant: str, database_url: str, tmp_path: Path) -> None:
    planted = MUTANTS[mutant]
    with undone():
        planted.plant()
        record = play(planted.scenario, database_url, tmp_path)
    assert planted.anomaly in found(record), stories(record, anomalies(record))


@pytest.mark.parametrize("database_url", ["sqlite", "mariadb"], indirect=True)
def test_page_of_ids_that_started_again_is_nobodys(database_url: str, tmp_path: Path) -> None:
    """Where the counter alone tells: nothing is sent, or counted as gone, before the reset."""
    record = play("page_of_another_history", database_url, tmp_path)
    assert not found(record), stories(record, anomalies(record))


@pytest.mark.parametrize(
    ("scenario", "database_url"),
    [(name, database_of(name)) for name in SCENARIOS],
    indirect=["database_url"],
)
def test_story_without_a_mistake_shows_nothing(
    scenario: str, database_url: str, tmp_path: Path
) -> None:
    record = play(scenario, database_url, tmp_path)
    late = [str(one) for one in late_rows(record)]
    assert not found(record), f"{stories(record, anomalies(record))}\n{late}"
