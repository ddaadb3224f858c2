"""Each planted mistake is called by its name; without one the same scenarios show nothing."""

from pathlib import Path

import pytest

from tests.campaigns.oracle.checker import anomalies
from tests.campaigns.oracle.mutants import MUTANTS, VARIABLE
from tests.campaigns.oracle.records import Record
from tests.campaigns.oracle.scenarios import DATABASE, SCENARIOS, SERVED_APP, SETTINGS, Stage
from tests.campaigns.oracle.story import stories
from tests.harness.gunicorn import Gunicorn

pytestmark = pytest.mark.serving


def server_with(mutant: str, folder: Path, url: str) -> Gunicorn:
    """The wall with a mutant in it; with none, for the control."""
    return Gunicorn(folder, {"DATABASE_URL": url, VARIABLE: mutant, **SETTINGS}, app=SERVED_APP)


def database_of(scenario: str) -> str:
    return DATABASE.get(scenario, "sqlite")


def play(scenario: str, mutant: str, url: str, folder: Path) -> Record:
    """What was written down in a scenario."""
    with (
        server_with(mutant, folder, url) as server,
        Stage(folder, url, server.wait_ready()) as stage,
    ):
        SCENARIOS[scenario](stage)
        return stage.end()


@pytest.mark.parametrize(
    ("mutant", "database_url"),
    [(name, database_of(planted.scenario)) for name, planted in MUTANTS.items()],
    indirect=["database_url"],
)
def test_mutant_is_caught_by_its_anomaly(mutant: str, database_url: str, tmp_path: Path) -> None:
    planted = MUTANTS[mutant]
    record = play(planted.scenario, mutant, database_url, tmp_path)
    found = anomalies(record)
    assert planted.anomaly in {one.kind for one in found}, stories(record, found)


@pytest.mark.parametrize(
    ("scenario", "database_url"),
    [(name, database_of(name)) for name in SCENARIOS],
    indirect=["database_url"],
)
def test_scenario_without_a_mutant_shows_nothing(
    scenario: str, database_url: str, tmp_path: Path
) -> None:
    record = play(scenario, "", database_url, tmp_path)
    found = anomalies(record)
    assert not found, stories(record, found)
