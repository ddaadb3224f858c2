"""A short torture of each database with every kind of fault; `make torture` is the long form, and
also runs MariaDB with its metadata locks shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.oracle.story import stories
from tests.campaigns.oracle.torture import Plan, run
from tests.campaigns.oracle.verdict import report
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres

DATABASES = ("sqlite", "postgresql", "mariadb")
SHORT = Plan(seed=1, seconds=8, clock=False, fault_s=(0.3, 0.7))


@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
def test_nothing_is_lost_whatever_fails(
    database_url: str, server_of: Callable[[str], Postgres | MariaDB], tmp_path: Path
) -> None:
    on_a_server = sql.dialect_of(database_url) != "sqlite"
    server = server_of(database_url) if on_a_server else None
    record = run(database_url, server, SHORT, tmp_path)
    found = report(record)
    told = stories(record, found.anomalies)
    assert found.verdict == "pass", f"{'; '.join(found.reasons)}\n{told}"
    if on_a_server:
        assert found.naive_lost > 0, "nothing was made difficult"
