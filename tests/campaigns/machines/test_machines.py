"""A short run of `make machines`."""

from pathlib import Path

import pytest

from tests.campaigns.machines.run import FAKETIME, Plan, run
from tests.campaigns.oracle.story import stories
from tests.campaigns.oracle.verdict import report
from tests.conftest import EXERCISED
from tests.harness.machines import star
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing
from tests.harness.proxies import HAProxy, find

SHORT = Plan(seed=1, workers=1, pause_s=0.5, lost_s=3.5, clock_ahead=FAKETIME.exists())


@pytest.mark.timeout(300)
def test_two_machines_lose_nothing_whatever_happens_to_one(tmp_path: Path) -> None:
    try:
        find(HAProxy.program)
        with (
            star(tmp_path, "one", "two") as machines,
            machines.hub.inside(),
            Postgres() as database,
        ):
            record = run(machines, database, SHORT, tmp_path)
    except PartMissing as reason:
        EXERCISED.skip("two machines", str(reason))
    found = report(record)
    told = stories(record, found.anomalies)
    assert found.verdict == "pass", f"{'; '.join(found.reasons)}\n{told}"
    assert found.naive_lost > 0, "nothing was made difficult"
